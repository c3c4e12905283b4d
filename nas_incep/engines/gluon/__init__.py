"""The engine on MXNet and Gluon; the only package that imports MXNet and GluonCV."""
