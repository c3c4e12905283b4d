"""Tables of learning curves for the tiny space: a search over one trains nothing."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from nas_incep.architecture import Architecture, Block

EPOCHS = 20
BASELINE = "cifar_resnet20_v1"


def curve(name: str, epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """Points that rise and differ from network to network, the same on every machine."""
    rng = random.Random(name)
    best, speed = rng.uniform(0.5, 0.99), rng.uniform(0.1, 0.9)
    points = []
    for epoch in range(1, epochs + 1):
        accuracy = best * (1 - 0.9 * (1 - speed) ** epoch) + rng.uniform(-0.01, 0.01)
        points.append(
            {
                "epoch": epoch,
                "loss": 2.3 * (1 - accuracy),
                "train_accuracy": accuracy,
                "val_loss": 2.3 * (1 - accuracy) + 0.1,
                "val_accuracy": accuracy,
                "images": 320,
                "train_seconds": 0.25,
                "eval_seconds": 0.05,
            }
        )
    return points


def tiny_architectures() -> list[Architecture]:
    """All that the space of commands.TINY_SPACE has, on the digits."""
    widths = itertools.product((8, 16), (8, 16), (8, 16), (False, True))
    return [
        Architecture((Block(1, a, 8, b, 8, 8, c),), batch_norm, input_shape=(1, 8, 8))
        for a, b, c, batch_norm in widths
    ]


def write_table(path: Path, epoch_seconds: float = 0.0, without: Collection[str] = ()) -> Path:
    """A table of all tiny networks and one baseline, but for those whose identities are given."""
    networks: dict[str, Any] = {
        BASELINE: {"parameters": 272474, "macs": 2530000, "curve": curve(BASELINE)}
    }
    for architecture in tiny_architectures():
        networks[architecture.identity] = {
            "parameters": architecture.parameters,
            "macs": architecture.macs,
            "latency_ms": architecture.macs / 1e6,
            "curve": curve(architecture.identity),
        }
    for identity in without:
        del networks[identity]
    table = {"format": "nas-incep-table", "version": 1, "networks": networks}
    path.write_text(json.dumps({**table, "epoch_seconds": epoch_seconds}))
    return path


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The options of a search that answers from curves at once."""
    return "--engine", f"table:{write_table(tmp_path_factory.mktemp('table') / 'tiny.json')}"


@pytest.fixture(scope="session")
def slow_table(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Likewise, with epochs long enough that something can happen in one."""
    path = write_table(tmp_path_factory.mktemp("table") / "slow.json", epoch_seconds=0.2)
    return "--engine", f"table:{path}"
