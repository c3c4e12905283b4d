"""Engines: what builds, trains and evaluates a network, behind one small interface."""
