"""Networks for an architecture: the classifier, and an autoencoder with a mirrored decoder."""

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
