"""Small networks that several test files build."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from nas_incep.architecture import Architecture, Block
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import initialize


def built(architecture: Architecture, seed: int = 0, device: Any = None) -> Any:
    """The initialized network; on the CPU unless a device is given."""
    network = build_network(architecture)
    initialize(network, "xavier", seed, architecture.input_shape, device or mx.cpu())
    return network


@st.composite
def architectures(draw: st.DrawFn, widest: st.SearchStrategy[int]) -> Architecture:
    """Of one or two blocks, for small images; all widths are at most the drawn `widest`."""
    width = st.integers(1, draw(widest))
    block = st.builds(Block, st.integers(1, 2), *[width] * 6)
    blocks = tuple(draw(st.lists(block, min_size=1, max_size=2)))
    same_shape = draw(st.booleans())
    return Architecture(
        blocks,
        draw(st.booleans()),
        draw(st.booleans()),
        same_shape,
        blocks[-1].out_channels if same_shape else draw(st.integers(1, 20)),
        (draw(st.integers(1, 3)), draw(st.integers(4, 11)), draw(st.integers(4, 11))),
    )
