"""Makes the project's own table: networks of nin_small, evenly over their cost, with several seeds.

    python benchmarks/make_table.py DIR --data-dir CIFAR10

Runs `nas-incep search` once for each seed, in DIR/seed-1 and so on, over a space file whose
reference networks are those of the table; stopped, the same command goes on. Two seeds train all
networks, two more a quarter of them. A fifth trains all for a quarter of the epochs, in DIR/brief,
to tell what a brief ranking is worth. No sampler, pruner or finals decide anything.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path

import optuna

from nas_incep.architecture import Architecture
from nas_incep.spaces.reader import read_space
from nas_incep.spaces.space import over_limits

SPACE = "nin_small"
CLASSES, SHAPE = 10, (3, 32, 32)
NETWORKS = 48
EPOCHS = 8
# Of each search its folder, seed, epochs and whether it trains all networks or a quarter of them.
SEARCHES = (
    ("seed-1", 1, EPOCHS, True),
    ("seed-2", 2, EPOCHS, True),
    ("brief", 5, EPOCHS // 4, True),
    ("seed-3", 3, EPOCHS, False),
    ("seed-4", 4, EPOCHS, False),
)
QUARTER = (0, 5)  # of every eight: one without batch normalization and one with it
LOW, HIGH = 2e6, 14e6  # multiply-accumulates; random draws hardly ever reach the limit of 16e6
DRAWS = 30_000
TRAINING = (
    *("--images-per-epoch", "10000", "--validation-size", "10000"),
    *("--finals", "none", "--sampler", "random", "--keep", "1"),
)


def even_networks() -> list[Architecture]:
    """One random network for each of as many equal steps of the logarithm of the cost.

    Every other one has batch normalization.
    """
    space = read_space(SPACE)
    sampler = optuna.samplers.RandomSampler(seed=0)
    found: dict[int, Architecture] = {}
    for number in range(DRAWS):
        if number % 100 == 0:  # a study slows down as it grows
            study = optuna.create_study(sampler=sampler)
        drawn = space.sample(study.ask(), CLASSES, SHAPE)
        step = math.floor(NETWORKS * math.log(drawn.macs / LOW) / math.log(HIGH / LOW))
        fits = 0 <= step < NETWORKS and drawn.batch_norm == bool(step % 2)
        if fits and step not in found and not over_limits(space.limits, drawn):
            found[step] = drawn
        if len(found) == NETWORKS:
            break
    return [found[step] for step in sorted(found)]


def space_text(networks: list[Architecture]) -> str:
    """The space with these reference networks instead of its own."""
    text = read_space(SPACE).text.partition("[[reference]]")[0]
    for network in networks:
        blocks = [list(block) for block in network.blocks]
        text += f"[[reference]]\nblocks = {blocks}\n"
        text += f"batch_norm = {str(network.batch_norm).lower()}\nrelu_output = false\n\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    args, more = parser.parse_known_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    args.folder.mkdir(parents=True, exist_ok=True)
    networks = even_networks()
    quarter = [network for k, network in enumerate(networks) if k % 8 in QUARTER]
    for name, seed, epochs, all_networks in SEARCHES:
        chosen = networks if all_networks else quarter
        file = args.folder / f"networks-{len(chosen)}.toml"
        file.write_text(space_text(chosen), encoding="utf-8")
        baseline = "cifar_resnet20_v1" if all_networks else "none"
        command = [sys.executable, "-m", "nas_incep", "search", str(file), *TRAINING]
        command += ["--run", str(args.folder / name), "--seed", str(seed)]
        command += ["--trials", str(len(chosen)), "--epochs", str(epochs), "--baseline", baseline]
        subprocess.run([*command, "--data-dir", str(args.data_dir), *more], check=True)


if __name__ == "__main__":
    main()
