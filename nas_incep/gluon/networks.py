"""Whole networks of an architecture: the classifier, and the autoencoder of it and its mirror."""

from ..engines.gluon.networks import (
    Autoencoder,
    Network,
    build_autoencoder,
    build_network,
    count_macs,
    count_parameters,
)

__all__ = [
    "Autoencoder",
    "Network",
    "build_autoencoder",
    "build_network",
    "count_macs",
    "count_parameters",
]
