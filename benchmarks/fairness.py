"""Is one recipe fair to every network? Accuracy over a grid of learning rates and optimizers.

    python benchmarks/fairness.py digits
    python benchmarks/fairness.py cifar10 --data-dir DIR
    python benchmarks/fairness.py digits --report

    python benchmarks/fairness.py digits --candidates 0 --no-trials --settings rule adam:0.01

Each network (from the model zoos, and random candidates with and without batch normalization) is
trained with each optimizer and rate from the same initial values, on the same batches. Before it,
short trials of a part of the steps show which rate a race of trials would have chosen. `rule` is
Adam at the rate that a search gives to a baseline, or to a candidate; the report compares it with
the best setting that was measured of the same network. Cells that are in the results
already are not measured again, so the script can be stopped at any time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from harness import RESULTS

from nas_incep._machine import versions
from nas_incep.datasets import Dataset, DatasetInfo, dataset_info, load
from nas_incep.engines.base import Diverged, Job, NetworkFailed
from nas_incep.engines.gluon.tuning import tune
from nas_incep.errors import InputError
from nas_incep.rates import rate_for
from nas_incep.recipe import Recipe
from nas_incep.records import BASELINE, CANDIDATE, Subject
from nas_incep.spaces.reader import read_space
from nas_incep.spaces.space import over_limits

RATES = {
    "sgd": (0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    "adam": (0.01, 0.003, 0.001, 0.0003),
}
ZOO = (
    "cifar_resnet20_v1",
    "cifar_resnet20_v2",
    "resnet18_v1",
    "resnet18_v2",
    "mobilenet0.25",
    "mobilenetv2_0.25",
    "alexnet@224",
    "vgg11@32",
    "vgg11_bn@32",
    "mobilenet1.0@64",
    "mobilenetv2_1.0@64",
    "squeezenet1.1@224",
    "densenet121@224",
    "resnet50_v1@32",
    "cifar_resnet56_v1",
    "cifar_wideresnet16_10",
    "inception3@75",
)
BUDGETS = {
    "digits": Recipe(epochs=4, batch_size=32),
    "cifar10": Recipe(epochs=3, batch_size=128, images_per_epoch=5120),
}
SPACES = {"digits": "quick", "cifar10": "nin_small"}
LEARNS = 0.4  # the best accuracy of a network that learns at all
TRIALS = (0.05, 0.1, 0.2)  # the parts of all steps that a short trial takes


def candidates(dataset: Dataset, name: str, count: int) -> Iterator[Subject]:
    """Random networks of a space, half of them with batch normalization."""
    space = read_space(name)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    wanted = {True: count // 2, False: count // 2}
    number = 0
    while sum(wanted.values()):
        info = dataset.info
        try:
            drawn = space.sample(study.ask(), len(info.classes), info.image_shape)
        except InputError:
            continue
        if over_limits(space.limits, drawn) or not wanted[drawn.batch_norm]:
            continue
        wanted[drawn.batch_norm] -= 1
        yield Subject(CANDIDATE, number, drawn.identity, 0, drawn)
        number += 1


def short_trial(engine: Any, job: Job, share: float) -> list[float]:
    """The mean losses of the three thirds of a training of that share of the steps."""
    recipe = job.recipe
    images = recipe.images_per_epoch or len(job.dataset.train.labels)
    steps = max(1, math.ceil(share * recipe.epochs * (images // recipe.batch_size) / 3))
    short = dataclasses.replace(recipe, epochs=3, images_per_epoch=steps * recipe.batch_size)
    training = engine.begin(dataclasses.replace(job, recipe=short))
    losses = []
    try:
        for _ in range(3):
            loss, _, images = training.train_epoch()
            losses.append(loss / images)
            training.epoch += 1
    except Diverged:
        losses.append(math.inf)
    return losses


def cell(engine: Any, job: Job, shares: Sequence[float]) -> dict[str, Any]:
    started = time.perf_counter()
    row: dict[str, Any] = {"trials": {s: short_trial(engine, job, s) for s in shares}}
    row["trial_seconds"] = round(time.perf_counter() - started, 2)
    started = time.perf_counter()
    try:
        with engine.start(job) as training:
            curve = list(training.epochs(lambda images: False))
            row["curve"] = [point.val_accuracy for point in curve]
            row["losses"] = [round(point.loss, 4) for point in curve]
    except NetworkFailed as failure:
        row["failed"] = failure.reason
    row["seconds"] = round(time.perf_counter() - started, 2)
    return row


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Prints, by setting and group of networks, the points lost against a network's best setting.

    Median and worst over the networks that were measured under every setting and that learn under
    one of them.
    """
    settings = [(optimizer, rate) for optimizer, rates in RATES.items() for rate in rates]
    groups: dict[str, list[dict[tuple[str, float], float]]] = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == network]
        # A training that failed is as good as drawing lots among ten classes.
        found = {
            (row["optimizer"], row["rate"]): 0.1 if "failed" in row else row["curve"][-1]
            for row in own
        }
        first = own[0]
        group = {None: "zoo", True: "with batch norm", False: "without"}[first["batch_norm"]]
        group += ", with ReLU on the class maps" if first["relu_output"] else ""
        grid = {setting: found[setting] for setting in settings if setting in found}
        if len(grid) == len(settings) and max(grid.values()) > LEARNS:
            groups.setdefault(group, []).append(grid)
    for optimizer, rate in settings:
        cells = []
        for group, networks in groups.items():
            lost = [100 * (max(f.values()) - f[optimizer, rate]) for f in networks]
            of = f"{len(networks)} {group}"
            cells.append(f"{of}: {statistics.median(lost):.1f} / {max(lost):.1f}")
        print(f"{optimizer} at {rate}", *cells, sep=" | ")


def report_rule(rows: Sequence[dict[str, Any]], data: str) -> None:
    """Prints, of each network of the zoos, its rate by the rule and what that rate costs it."""
    from nas_incep.engines import load_engine

    engine, info = load_engine("gluon"), dataset_info(data)
    for network in dict.fromkeys(row["network"] for row in rows if row["kind"] == BASELINE):
        found = {
            (row["optimizer"], row["rate"]): 0.1 if "failed" in row else row["curve"][-1]
            for row in rows
            if row["network"] == network
        }
        own = own_rate(engine, Subject(BASELINE, None, network, 0), data, info)
        best = max(found, key=lambda setting: found[setting])
        accuracies = [f"{found.get(('adam', rate), math.nan):.3f}" for rate in (own, 0.01)]
        cells = (network, own, *accuracies, f"{found[best]:.3f}", f"{best[0]} at {best[1]}")
        print(*cells, f"of {len(found)}", sep=" | ")


def settings(asked: Sequence[str] | None, own: float) -> list[tuple[str, float]]:
    """The optimizers and rates to measure of a network whose rate by the rule is `own`."""
    if not asked:
        return [(optimizer, rate) for optimizer, rates in RATES.items() for rate in rates]
    pairs = (f"adam:{own}" if text == "rule" else text for text in asked)
    return [(optimizer, float(rate)) for optimizer, _, rate in (p.partition(":") for p in pairs)]


def own_rate(engine: Any, subject: Subject, data: str, info: DatasetInfo) -> float:
    """The rate that a search trains a network with."""
    recipe = BUDGETS[data]
    if not subject.is_baseline:
        return recipe.learning_rate
    facts = engine.check_baseline(subject.name, len(info.classes), info.image_shape)
    return rate_for(recipe, facts.scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", choices=BUDGETS)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--space", help="of the candidates, instead of quick or nin_small")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the networks of the zoos")
    parser.add_argument("--only", nargs="*", help="names of baselines, instead of all networks")
    parser.add_argument("--candidates-only", action="store_true", help="no networks of the zoos")
    parser.add_argument("--settings", nargs="*", help="as sgd:0.1, instead of the whole grid")
    parser.add_argument("--no-trials", action="store_true", help="no short trials")
    parser.add_argument("--report", action="store_true", help="only print what was measured")
    args = parser.parse_args()
    path = RESULTS / "fairness.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if args.report:
        rows = [row for row in rows if row["data"] == args.data and row.get("seed", 0) == args.seed]
        report(rows)
        report_rule(rows, args.data)
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tune(args.threads, "cpu")
    from nas_incep.engines import load_engine

    engine = load_engine("gluon")
    dataset = load(args.data, args.data_dir)
    done = {(r["data"], r["network"], r["optimizer"], r["rate"], r.get("seed", 0)) for r in rows}
    zoo = [Subject(BASELINE, None, name, args.seed) for name in args.only or ZOO]
    space = args.space or SPACES[args.data]
    drawn = [] if args.only else candidates(dataset, space, args.candidates)
    subjects = [*drawn, *([] if args.candidates_only else zoo)]
    for subject in subjects:
        own = own_rate(engine, subject, args.data, dataset.info)
        for optimizer, rate in settings(args.settings, own):
            if (args.data, subject.name, optimizer, rate, subject.seed) in done:
                continue
            recipe = dataclasses.replace(
                BUDGETS[args.data], optimizer=optimizer, learning_rate=rate
            )
            with tempfile.TemporaryDirectory() as folder:
                job = Job(subject, dataset, recipe, "cpu", "float32", Path(folder) / "c")
                row = cell(engine, job, () if args.no_trials else TRIALS)
            arch = subject.architecture
            row = {
                "data": args.data,
                "network": subject.name,
                "kind": subject.kind,
                "space": space if arch else None,
                "batch_norm": arch.batch_norm if arch else None,
                "relu_output": arch.relu_output if arch else None,
                "optimizer": optimizer,
                "rate": rate,
                "seed": subject.seed,
                **row,
                "threads": args.threads,
                "versions": versions(),
            }
            with path.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(subject.name, optimizer, rate, row.get("curve"), row["seconds"], flush=True)


if __name__ == "__main__":
    main()
