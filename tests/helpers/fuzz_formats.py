"""Every format that a stranger can hand us: valid samples of it, and our readers of it.

A reader returns or raises; tests/fuzz.py judges which. What it prints is checked here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from helpers.fuzz_data import (
    each,
    make_archive,
    make_cifar,
    make_idx,
    make_npz,
    make_pickles,
    make_pictures,
    make_records,
    read_data,
    read_own,
)
from helpers.mutations import damage_file, replace_file
from helpers.tables import write_table
from nas_incep import _logs, datasets
from nas_incep._params import read_params
from nas_incep.architecture import Architecture, Block
from nas_incep.architecture import from_json as read_architecture
from nas_incep.cli import program
from nas_incep.engines import checkpoint, load_engine
from nas_incep.engines.base import Engine, Job
from nas_incep.engines.specs import SYMBOL
from nas_incep.errors import InputError
from nas_incep.export.bundle import open_bundle
from nas_incep.export.evaluation import evaluate_bundle
from nas_incep.export.images import files_of, pixels_of
from nas_incep.recipe import Recipe
from nas_incep.records import CANDIDATE, Subject
from nas_incep.results import config as configs
from nas_incep.results.run import Run
from nas_incep.search.liveness import present, wait_for_orphans
from nas_incep.spaces import counting
from nas_incep.spaces.points import RandomPoint
from nas_incep.spaces.reader import read_space
from nas_incep.spaces.space import over_limits

FIXTURES = Path(__file__).parents[1] / "fixtures" / "0.1.0"
SPACES = Path(__file__).parents[2] / "search_spaces"
ARCHITECTURE = Architecture((Block(1, 8, 8, 8, 8, 8, 8),), input_shape=(1, 8, 8))
RECIPE = Recipe(epochs=3, batch_size=32, images_per_epoch=320)


@dataclass(frozen=True)
class Format:
    """`make` writes valid files, of which those that match `damaged` are damaged, one in a case.

    `mend` makes sums fit again, as a stranger would who knows them. Files that the user names
    (`named`) may be FIFOs, for which a reader waits.
    """

    make: Callable[[Path], Any]
    damaged: tuple[str, ...]
    read: Callable[[Path], Any]
    mend: Callable[[Path], None] | None = None
    replaced_only: bool = False
    named: bool = False

    def damage(self, folder: Path, outside: Path, rng: random.Random) -> str:
        files = sorted({path for pattern in self.damaged for path in folder.glob(pattern)})
        path = rng.choice(files)
        damage = replace_file if self.replaced_only else damage_file
        done = f"{path.relative_to(folder)}: {damage(path, outside, rng)}"
        if self.named and path.is_fifo():
            path.unlink()
        if self.mend and rng.random() < 0.7 and path.is_file():
            with contextlib.suppress(Exception):  # what cannot be mended any more
                self.mend(folder)
                done += ", sums mended"
        return done


def command(*arguments: object) -> str:
    """What a command prints. Raises what the command line would turn into a message."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            program.main([*map(str, arguments)], prog_name="nas-incep", standalone_mode=False)
    except click.ClickException as error:
        raise InputError(error.format_message()) from None
    except SystemExit as error:
        assert error.code in (0, 1), error.code
    text = out.getvalue()
    for one in (text, err.getvalue()):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", one), "controls printed"
    if "json" in arguments:
        json.loads(text, parse_constant=refuse_constant)
    return text


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} was printed, which is not JSON")


def read_all_of_space(folder: Path) -> None:
    def read(path: Path) -> None:
        space = read_space(str(path))
        json.dumps(space.to_json(), allow_nan=False)
        for classes, shape in ((10, (3, 32, 32)), (100, (3, 32, 32)), (10, (1, 8, 8))):
            counting.count(space, classes, shape)
            with contextlib.suppress(InputError):
                counting.cost_range(space, classes, shape)
            with contextlib.suppress(InputError):
                point = RandomPoint(random.Random(0))
                over_limits(space.limits, space.sample(point, classes, shape))

    each(
        *(lambda path=path: read(path) for path in folder.glob("*.toml")),
        *(lambda path=path: command("spaces", path) for path in folder.glob("*.toml")),
    )


def read_run(folder: Path) -> None:
    """What all commands do with a run folder, but for the study."""
    run = Run(folder / "run")

    def configured() -> None:
        config = run.config()
        # The first time, a relative data folder becomes absolute, and an empty date none.
        for _ in range(2):
            before = config
            again = json.loads(json.dumps(before.to_json(), allow_nan=False))
            config = configs.from_json(again, "again")
        assert config == before, "run.json is not read as it was written"
        config.differences(config)
        config.request.pruning.rungs(min(config.request.recipe.epochs, 100), 5)

    def worked() -> None:
        with run.lock(), _logs.log_file(run.logs_path, "search", run.workers_path):
            wait_for_orphans(run.workers_path, seconds=0.2)
            run.set_aside_damaged()
            run.sweep(alone=True)
            with present(run.workers_path, "one", False, contextlib.nullcontext()):
                records = run.records()
            run.drop_parameters(records[1:])

    each(
        configured,
        *(lambda form=f: command("leaderboard", run.path, "--format", form) for f in FORMS),
        lambda: command("export", run.path, folder / "exported", "--force"),
        worked,
        lambda: command("leaderboard", run.path),
    )


FORMS = ("table", "json", "csv")


def make_runs(folder: Path) -> None:
    """A new run answered from a table beside those of 0.1.0; a case takes one as `run`."""
    from helpers.commands import SEARCH, TINY_SPACE, run_cli

    space = folder / "tiny.toml"
    space.write_text(TINY_SPACE)
    table = write_table(folder / "table.json")
    options = ("--trials", 4, "--workers", 0, "--baseline", "cifar_resnet20_v1", *SEARCH)
    done = run_cli("search", space, "--run", folder / "run", "--engine", f"table:{table}", *options)
    assert done.returncode == 0, done.stderr
    for name in ("logs", "workers"):
        (folder / "run" / name).mkdir(exist_ok=True)
    (folder / "run" / "trials" / "000009.checkpoint").mkdir()


def make_old_run(folder: Path) -> None:
    shutil.copytree(FIXTURES / "finished", folder / "run")


def small_job(folder: Path) -> Job:
    subject = Subject(CANDIDATE, 0, ARCHITECTURE.identity, 1, ARCHITECTURE)
    return Job(subject, DIGITS, RECIPE, "cpu", "float32", folder / "checkpoint")


DIGITS = datasets.load("digits")


def engine() -> Engine:
    try:
        return load_engine("torch")
    except (InputError, ImportError):
        return load_engine("gluon")


def make_checkpoint(folder: Path) -> None:
    with engine().start(small_job(folder)) as training:
        next(training.epochs(lambda images: False))


def read_checkpoint(folder: Path) -> None:
    with engine().start(small_job(folder)) as training:
        assert len(training.curve) < 1000


def mend_checkpoint(folder: Path) -> None:
    path = folder / "checkpoint" / checkpoint.CURVE
    value = json.loads(path.read_text())
    for name in value["sha256"]:
        value["sha256"][name] = digest(path.with_name(name))
    del value["sum"]
    path.write_text(json.dumps({**value, "sum": checkpoint._sum(value)}))


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(1 << 26)).hexdigest()


def read_bundle(folder: Path) -> None:
    opened = open_bundle(folder / "bundle")
    evaluate_bundle(opened, engine(), "test", None, "cpu")
    evaluate_bundle(opened, engine(), "validation", None, "cpu")


def mend_bundle(folder: Path) -> None:
    path = folder / "bundle" / "manifest.json"
    value = json.loads(path.read_text())
    for name in value["files"]:
        value["files"][name]["sha256"] = digest(path.with_name(name))
    text = json.loads(path.with_name("architecture.json").read_text())
    value["identity"] = read_architecture(text, "it").identity
    path.write_text(json.dumps(value))


def make_graph(folder: Path) -> None:
    from nas_incep.engines.torch.baselines import GRAPHS

    for path in GRAPHS.glob("*.json"):
        shutil.copy(path, folder / f"{path.stem}{SYMBOL}")


def read_graph(folder: Path) -> None:
    """As a search does with `--baseline FOLDER/NAME`."""
    for name, size in (("cifar_resnet20_v1", 32), ("inceptionv3", 75)):
        load_engine("torch").check_baseline(f"{folder}/{name}@{size}", 10, (3, 32, 32))


def read_table(folder: Path) -> None:
    table: Any = load_engine(f"table:{folder / 'table.json'}")
    for architecture in (None, ARCHITECTURE):
        name = architecture.identity if architecture else "cifar_resnet20_v1"
        subject = Subject("candidate", 0, name, 1, architecture)
        job = Job(subject, DIGITS, RECIPE, "cpu", "float32", folder / "c")
        with contextlib.suppress(Exception) if architecture else contextlib.nullcontext():
            training = table.start(job)
            assert len(training._points) == RECIPE.epochs


def make_images(folder: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    for kind in IMAGES:
        channels = 4 if kind in ("png", "webp", "tiff") else 3
        Image.fromarray(pixels[:, :, :channels]).save(folder / f"image.{kind}", kind)


def read_images(folder: Path) -> None:
    for path in files_of((folder,)):
        assert pixels_of(path, (3, 8, 8)).shape == (3, 8, 8)


IMAGES = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm")
ALL_OF_RUN = ("run/*", "run/*/*")
FORMATS = {
    "space": Format(
        lambda f: shutil.copytree(SPACES, f, dirs_exist_ok=True),
        ("*.toml",),
        read_all_of_space,
        named=True,
    ),
    "run": Format(make_runs, ("run/run.json",), read_run),
    "old_run": Format(make_old_run, ("run/run.json", "run/*/*.json"), read_run),
    "record": Format(make_runs, ("run/trials/*.json", "run/baselines/*.json"), read_run),
    "folder": Format(make_runs, ALL_OF_RUN, read_run, replaced_only=True),
    "checkpoint": Format(make_checkpoint, ("checkpoint/*",), read_checkpoint, mend_checkpoint),
    "bundle": Format(
        lambda f: shutil.copytree(FIXTURES / "bundle", f / "bundle"),
        ("bundle/*",),
        read_bundle,
        mend_bundle,
    ),
    "params": Format(
        lambda f: shutil.copy(FIXTURES / "bundle" / "weights.params", f),
        ("*.params",),
        lambda f: read_params(f / "weights.params", 1 << 20),
    ),
    "cifar": Format(make_cifar, ("*.bin",), read_data("cifar10")),
    "idx": Format(
        make_idx,
        ("*ubyte",),
        read_data("fashion_mnist"),
    ),
    "packed_idx": Format(lambda f: make_idx(f, packed=True), ("*.gz",), read_data("fashion_mnist")),
    "archive": Format(make_archive, ("*.tar.gz",), read_data("cifar10")),
    "pickles": Format(make_pickles, ("*", "*/*"), read_data("cifar10")),
    "pictures": Format(make_pictures, ("*/*/*.*",), read_own, named=True),
    "npz": Format(make_npz, ("*.npz",), read_own, named=True),
    "records": Format(make_records, ("*.rec",), read_own, named=True),
    "graph": Format(make_graph, ("*.json",), read_graph),
    "image": Format(make_images, ("image.*",), read_images, named=True),
    "table": Format(lambda f: write_table(f / "table.json"), ("*.json",), read_table, named=True),
}
