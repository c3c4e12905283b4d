"""Architectures of every kind, and what is wrong with those that are none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from nas_incep.architecture import (
    MAX_CONVS,
    Architecture,
    Block,
)
from nas_incep.errors import InputError

BLOCK = [1, 2, 3, 4, 5, 6, 7]

blocks = st.builds(Block, st.integers(1, MAX_CONVS), *[st.integers(1, 300)] * 6)


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    stack = tuple(draw(st.lists(blocks, min_size=1, max_size=4)))
    same_shape = draw(st.booleans())
    return Architecture(
        stack,
        draw(st.booleans()),
        draw(st.booleans()),
        same_shape,
        stack[-1].out_channels if same_shape else draw(st.integers(1, 200)),
        (draw(st.integers(1, 9)), draw(st.integers(16, 99)), draw(st.integers(16, 99))),
    )


def fault(**fields: Any) -> str:
    """The message for an architecture that is sound but for these fields."""
    with pytest.raises(InputError) as error:
        Architecture(**{"blocks": [BLOCK], **fields})
    text = str(error.value)
    assert "\n" not in text
    return text
