"""Packs what make_table.py has trained into one file, which `nas-incep simulate` reads.

    python benchmarks/pack_table.py DIR

Writes benchmarks/tables/nin_small_cifar10.json.xz from DIR/seed-1 to seed-4, and
nin_small_cifar10_brief.json.xz from DIR/brief: learning curves, which validation images each
network got right, the baseline, and the conditions.
"""

from __future__ import annotations

import argparse
import json
import lzma
from pathlib import Path
from typing import Any

from evidence import TABLES
from make_table import SPACE

from nas_incep.engines.table.table import Table
from nas_incep.results.run import Run
from nas_incep.search.recorded import table_of_runs

NAMES = {"nin_small_cifar10": "seed-*", "nin_small_cifar10_brief": "brief"}
DATA = "CIFAR-10, JPEG copy"


def conditions(runs: list[Run]) -> dict[str, Any]:
    """What decides the figures, from the runs' own records."""
    config = runs[0].config()
    recipe = config.request.recipe
    return {
        "data": DATA,
        "fingerprint": config.data.fingerprint,
        "validation_images": config.request.validation_size,
        "recipe": recipe.to_json(),
        "networks": f"of the space {SPACE}, drawn by benchmarks/make_table.py",
        "search_seeds": [run.config().request.seed for run in runs],
        "engine": config.engine,
        "precision": config.precision,
        "device": "cpu, two workers with one thread each",
        "versions": config.versions,
        "license": "Apache-2.0",
    }


def rounded(value: Any) -> Any:
    """Curves with losses and seconds to 5 digits, which is more than they are worth."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {
            key: item if key.endswith("accuracy") else rounded(item) for key, item in value.items()
        }
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    TABLES.mkdir(exist_ok=True)
    for name, pattern in NAMES.items():
        runs = [Run(path) for path in sorted(args.folder.glob(pattern))]
        if not runs:
            continue
        found = table_of_runs(runs, baselines=True)
        table = Table(name, found.networks, conditions=conditions(runs))
        text = json.dumps(rounded(table.to_json()), separators=(",", ":"))
        path = TABLES / f"{name}.json.xz"
        path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
        seeds = sorted(len(network.curves) for network in table.networks.values())
        print(f"{path.name}: {len(seeds)} networks, {sum(seeds)} trainings, {path.stat().st_size}")


if __name__ == "__main__":
    main()
