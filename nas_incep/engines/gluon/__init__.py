"""The engine on MXNet and Gluon; the only room that imports MXNet and GluonCV."""
