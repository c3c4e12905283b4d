"""Which recipe learns most in a brief training? Compares recipes on CIFAR-10; see docs/recipe.md.

    python benchmarks/recipe.py --data-dir DIR [--images N] [--epochs N] [--seeds N] [RECIPE ...]

Prints one JSON line a training. A RECIPE is FIELD=VALUE pairs joined by commas, on top of `brief`,
or the name of a preset.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from nas_incep.architecture import NOTEBOOK, Architecture
from nas_incep.datasets import load
from nas_incep.recipe import RECIPES, Recipe
from nas_incep.spaces.reader import read_space


def parse(text: str) -> dict[str, Any]:
    if text in RECIPES:
        return RECIPES[text].to_json()
    pairs = dict(pair.split("=") for pair in text.split(","))
    return {"name": text, **{key: value_of(said) for key, said in pairs.items()}}


def value_of(said: str) -> Any:
    """A number, true, false or null as JSON has them; else the text itself."""
    try:
        return json.loads(said)
    except ValueError:
        return said


def networks() -> dict[str, Architecture]:
    blocks = {"small": read_space("nin_small").references[0]["blocks"], "notebook": NOTEBOOK.blocks}
    return {
        f"{name}, {'BN' if batch_norm else 'no BN'}": Architecture(blocks[name], batch_norm)
        for name in blocks
        for batch_norm in (True, False)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipes", nargs="*", default=["brief", "notebook"])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--images", type=int, default=15000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--network", default="small", help="only networks whose name holds this")
    args = parser.parse_args()

    from nas_incep.engines.gluon.networks import build_network
    from nas_incep.engines.gluon.runtime import mx, threads
    from nas_incep.engines.gluon.training import Diverged, train

    dataset = load("cifar10", args.data_dir)
    for text in args.recipes:
        settings = {**parse(text), "epochs": args.epochs, "images_per_epoch": args.images}
        recipe = Recipe(**settings)
        chosen = {name: a for name, a in networks().items() if args.network in name}
        for name, architecture in chosen.items():
            for seed in range(args.seeds):
                row = {"recipe": text, "network": name, "seed": seed, "epochs": args.epochs}
                row |= {
                    "images": args.images,
                    "threads": threads(),
                    "fingerprint": dataset.fingerprint,
                }
                try:
                    curve = train(build_network(architecture), dataset, recipe, seed, mx.cpu())
                    row["val_accuracy"] = [round(point.val_accuracy, 4) for point in curve]
                except Diverged as error:
                    row["diverged"] = str(error)
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
