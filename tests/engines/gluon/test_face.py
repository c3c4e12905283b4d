"""`nas_incep.gluon`: what GluonCV's users import stays where it is."""

from __future__ import annotations

from nas_incep.engines.gluon import layers as ours
from nas_incep.engines.gluon import networks as our_networks
from nas_incep.gluon import layers, networks


def test_the_notebooks_layers_are_in_nas_incep_gluon_layers() -> None:
    assert "NIN" in layers.__all__ and "vgg_block_transpose" in layers.__all__
    for name in layers.__all__:
        assert getattr(layers, name) is getattr(ours, name)


def test_whole_networks_are_in_nas_incep_gluon_networks() -> None:
    assert "build_autoencoder" in networks.__all__
    for name in networks.__all__:
        assert getattr(networks, name) is getattr(our_networks, name)
