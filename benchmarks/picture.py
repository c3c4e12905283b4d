"""Draws docs/speed.png out of the published results: what each measure gained, and the peers.

python benchmarks/picture.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from harness import RESULTS

TARGET = Path(__file__).parent.parent / "docs" / "speed.png"


def rows(name: str) -> list[dict[str, Any]]:
    lines = (RESULTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[1:]]


def draw_measures(axes: Any) -> None:
    """Images a second relative to the network as it is built, measure by measure."""
    found = rows("steps")
    for network in dict.fromkeys(row["network"] for row in found):
        mine = [row for row in found if row["network"] == network]
        ratios = [row["to_as_built"] for row in mine]
        middle = [ratio["median"] for ratio in ratios]
        spread = [
            [ratio["median"] - ratio["low"] for ratio in ratios],
            [ratio["high"] - ratio["median"] for ratio in ratios],
        ]
        axes.errorbar(range(len(mine)), middle, spread, marker="o", capsize=3, label=network)
    labels = [row["measure"] for row in found if row["network"] == found[0]["network"]]
    axes.set_xticks(range(len(labels)), labels, rotation=25, ha="right")
    axes.set_ylabel("bare step, relative to as built")
    axes.set_title("One optimization at a time (Gluon, SGD, Zen 5)")
    axes.grid(axis="y", alpha=0.3)
    axes.legend()


def draw_peers(axes: Any) -> None:
    """The steps of both engines relative to the best of a PyTorch user's, and loops to Gluon's."""
    found = [
        row
        for row in rows("peers")
        if "target" in row
        and ("float32 / best" in row["question"] or "bfloat16 / best" in row["question"])
    ]
    names = [row["question"].replace("lent malloc: ", "tuned ") for row in found][::-1]
    measured = [row["measured"] for row in found][::-1]
    middle = [value["median"] for value in measured]
    spread = [
        [value["median"] - value["low"] for value in measured],
        [value["high"] - value["median"] for value in measured],
    ]
    colors = ["tab:orange" if "ours torch" in name else "tab:blue" for name in names]
    axes.barh(range(len(names)), middle, xerr=spread, capsize=3, color=colors, alpha=0.7)
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("times the best of the others (quartiles of the rounds)")
    axes.set_title("Against the alternatives (Adam, Zen 4)")


def main() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, 6), layout="constrained")
    draw_measures(left)
    draw_peers(right)
    figure.savefig(TARGET, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()
