"""The command line: one function a command. Heavy imports stay inside the commands."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import InputError, WorkerFault
from .tuning import tune

if TYPE_CHECKING:
    from .architecture import Architecture
    from .data import Dataset
    from .space import SearchSpace

PATH = click.Path(path_type=Path)


def main() -> None:
    """Runs a command; every fault ends in one sentence, and a traceback only with --debug."""
    # Wherever it stands: a user adds it to the end of a command that went wrong.
    debug = "--debug" in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    arguments = arguments or ["--help"]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(commands.main(arguments, prog_name="nas-incep", standalone_mode=False))
    except Exception as error:
        if debug:
            raise
        status, text = _explain(error)
    except KeyboardInterrupt:
        if debug:
            raise
        status, text = 130, "stopped; everything finished is kept"
    if text:
        click.echo(f"nas-incep: {text}", err=True)
    sys.exit(status)


def _interrupt(*_: object) -> None:
    # A second one, from a system that ends all processes at once, must not cut the first one short.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _explain(error: Exception) -> tuple[int, str]:
    """The exit status and the sentence for an error."""
    if isinstance(error, click.exceptions.Abort):
        return 130, "stopped; everything finished is kept"
    if isinstance(error, click.ClickException):
        return 2, f"{error.format_message()} (see nas-incep --help)"
    if isinstance(error, InputError):
        return 2, str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return 2, f"{place}{error.strerror or error}"
    if isinstance(error, WorkerFault):
        return 1, str(error)
    if _is_of_storage(error):
        from .database import reason

        return 2, f"the study's storage: {reason(error)}"
    lines = str(error).strip().splitlines() or [""]
    return 1, f"internal error: {type(error).__name__}: {lines[-1]} (--debug shows where)"


def _is_of_storage(error: Exception) -> bool:
    """Whether it is a database's or a gRPC proxy's; asked without importing either."""
    causes = [cause for cause in (error, error.__cause__) if cause]
    packages = {type(cause).__module__.partition(".")[0] for cause in causes}
    return not packages.isdisjoint({"sqlalchemy", "grpc", "psycopg", "pymysql"})


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas-incep", prog_name="nas-incep")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def commands(debug: bool) -> None:
    """Search for Inception-based NIN networks, ranked next to the model zoo's."""


def _threads_option(function: Any) -> Any:
    return click.option(
        "--threads", type=click.IntRange(1), help="CPU threads; default: all this process may use."
    )(function)


def _device_options(function: Any) -> Any:
    device = click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, gpu or gpu:K."
    )
    return device(_threads_option(function))


def _storage_option(function: Any) -> Any:
    return click.option(
        "--storage",
        metavar="URL",
        envvar="NAS_INCEP_STORAGE",
        help="Study in a database, for workers on several machines: postgresql://, mysql:// or "
        "grpc://; also taken from NAS_INCEP_STORAGE, which hides the password.",
    )(function)


def _data_option(function: Any) -> Any:
    return click.option(
        "--data-dir", type=PATH, help="Folder of the data set's files; default: MXNet's own."
    )(function)


def _format_option(*formats: str) -> Any:
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True
    )


def _print_table(table: Any) -> None:
    """A table as wide as it needs to be where standard output is no terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


@commands.command()
@click.argument("space")
@click.option("--run", "run_path", type=PATH, required=True, help="Folder of the run.")
@click.option("--dataset", help="See `nas-incep data`; default: the one the space is made for.")
@_data_option
@click.option(
    "--trials",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Candidates to train, over all calls with this run.",
)
@click.option(
    "--recipe",
    "recipe_name",
    default="brief",
    show_default=True,
    help="Preset: brief, notebook or notebook_rmsprop.",
)
@click.option("--epochs", "--num-epochs", type=int, help="Epochs for each network.")
@click.option(
    "--images-per-epoch", type=int, help="Images in an epoch, in whole batches; default: all."
)
@click.option("--batch-size", type=int)
@click.option("--optimizer", type=str)
@click.option("--lr", "learning_rate", type=float, help="Peak learning rate.")
@click.option("--wd", "weight_decay", type=float, help="Weight decay.")
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    default=("inception3@75",),
    show_default=True,
    help="NAME or NAME@SIZE of the model zoo, or none; repeatable.",
)
@click.option(
    "--objective",
    default="accuracy",
    show_default=True,
    help="accuracy, or with macs, params or latency: accuracy,macs gives a Pareto front.",
)
@click.option(
    "--sampler", default="tpe", show_default=True, help="tpe, random, nsga2, grid or evolution."
)
@click.option("--pruner", default="none", show_default=True, help="none, sha, hyperband or median.")
@click.option("--first-rung", type=int, default=1, show_default=True, help="Epochs before pruning.")
@click.option("--reduction", type=int, default=3, show_default=True, help="One in so many goes on.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for this call.")
@click.option(
    "--trial-timeout", type=click.FloatRange(0, min_open=True), help="Seconds for one training."
)
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How many of the best candidates keep their parameters.",
)
@click.option("--max-params", type=click.IntRange(1), help="Limit on trainable parameters.")
@click.option("--max-macs", type=click.IntRange(1), help="Limit on multiply-accumulates.")
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(0, min_open=True),
    help="Limit on the measured time for one image.",
)
@click.option("--latency", is_flag=True, help="Measure the time for one image of each network.")
@click.option("--validation-size", type=int, help="Images held out for ranking.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--workers",
    help="Processes that train at once, or auto; 0: this process alone. Default: one a device.",
)
@_storage_option
@click.option(
    "--heartbeat",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    help="Seconds between a worker's signs of life in a database; after two of them it is dead.",
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    help="float32, bfloat16, float16 or auto: what the candidates' blocks are trained in; "
    "evaluation, parameters and baselines are float32.",
)
@click.option(
    "--device",
    "devices",
    default="auto",
    show_default=True,
    help="auto, cpu, gpu or gpu:K; a list like gpu:0,gpu:1 for several workers.",
)
@_threads_option
def search(
    space: str,
    run_path: Path,
    dataset: str | None,
    data_dir: Path | None,
    trials: int,
    recipe_name: str,
    baselines: tuple[str, ...],
    sampler: str,
    pruner: str,
    first_rung: int,
    reduction: int,
    timeout: float | None,
    trial_timeout: float | None,
    keep: int,
    max_params: int | None,
    max_macs: int | None,
    max_latency_ms: float | None,
    latency: bool,
    objective: str,
    validation_size: int | None,
    seed: int,
    workers: str | None,
    storage: str | None,
    heartbeat: int,
    precision: str,
    devices: str,
    threads: int | None,
    **recipe_changes: Any,
) -> None:
    """Search a SPACE (a shipped one's name or a TOML file) and rank what was found.

    The same command again goes on with the run where it stopped.
    """
    tune(threads, devices)
    from .display import make_display
    from .pruning import Pruning
    from .recipe import get_recipe
    from .request import SearchRequest
    from .run import Run
    from .search import Means, count_workers
    from .search import search as run_search
    from .space_file import read_space, with_limits

    limits = {"max_params": max_params, "max_macs": max_macs, "max_latency_ms": max_latency_ms}
    chosen = with_limits(read_space(space), limits)
    request = SearchRequest(
        space=chosen,
        recipe=get_recipe(recipe_name, **recipe_changes),
        trials=trials,
        dataset=dataset or chosen.dataset or "digits",
        data_dir=data_dir,
        validation_size=validation_size,
        seed=seed,
        objective=objective,
        sampler=sampler,
        pruning=Pruning(pruner, first_rung, reduction),
        latency=latency,
        keep=keep,
        trial_timeout=trial_timeout,
        precision=precision,
    )
    slots = tuple(devices.split(","))
    means = Means(
        workers=count_workers(workers, slots),
        devices=slots,
        threads=threads,
        baselines=() if baselines == ("none",) else baselines,
        storage=storage,
        heartbeat=heartbeat,
        timeout=timeout,
    )
    try:
        run_search(request, Run(run_path), make_display(), means)
    except KeyboardInterrupt:
        click.echo(
            f"{run_path}: stopped; finished trials are kept, the same command goes on", err=True
        )
        sys.exit(130)
    _print_leaderboard(run_path, "table")


@commands.command(hidden=True)
@click.option("--device", "devices", multiple=True)
@click.option("--baseline", "baselines", multiple=True)
@click.option("--precision", default="auto")
def check(devices: tuple[str, ...], baselines: tuple[str, ...], precision: str) -> None:
    """Fail unless the devices and baselines are there; print the number of GPUs that work."""
    from .gluon.baselines import parse_baseline
    from .gluon.forms import check_precision
    from .gluon.runtime import count_gpus, resolve_device

    for spec in baselines:
        parse_baseline(spec)
    for device in devices:
        check_precision(precision, resolve_device(device))
    click.echo(count_gpus())


@commands.command(hidden=True)
@click.argument("run_path", metavar="RUN", type=PATH)
@click.option("--seconds", type=float, required=True)
@click.option("--precision", required=True)
@_device_options
def measure(
    run_path: Path, seconds: float, precision: str, device: str, threads: int | None
) -> None:
    """Print how many images a second this process trains, a network of RUN's space for example."""
    tune(threads, device)
    from . import data as datasets
    from .automatic import example
    from .gluon.runtime import resolve_device
    from .gluon.speed import images_per_second
    from .request import from_json
    from .run import Run

    run = Run(run_path)
    request = from_json(run.config()["request"], str(run.config_path))
    dataset = datasets.load(request.dataset, request.data_dir, request.validation_size)

    def ready() -> None:
        click.echo("ready")
        sys.stdin.readline()

    architecture = example(request.space, dataset.info)
    place = resolve_device(device)
    click.echo(
        images_per_second(architecture, dataset, request.recipe, place, precision, seconds, ready)
    )


@commands.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@_storage_option
@_data_option
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds for this call.")
@click.option("--baseline", "baselines", multiple=True, hidden=True)
@click.option("--supervised-as", default="", hidden=True)
@_device_options
def worker(
    run_path: Path,
    storage: str | None,
    data_dir: Path | None,
    timeout: float | None,
    baselines: tuple[str, ...],
    supervised_as: str,
    device: str,
    threads: int | None,
) -> None:
    """Join the search of the folder RUN, which `nas-incep search` has begun, on any machine.

    The folder must be shared between the machines; the study is in the database at --storage.
    """
    tune(threads, device)
    from . import supervise
    from .display import make_display
    from .errors import TimeUp
    from .events import EventDisplay
    from .run import Run
    from .search import join_and_work
    from .worker import Post

    deadline = time.monotonic() + (timeout or math.inf)
    display = EventDisplay(supervise.attach()) if supervised_as else make_display()
    try:
        with display:
            post = Post(device, baselines, deadline, supervised_as)
            join_and_work(Run(run_path), storage, data_dir, display, post)
    except TimeUp:
        if supervised_as:
            sys.exit(supervise.TIME_UP)
        display.say(f"--timeout: {timeout:g} s are used up; the same command goes on")


@commands.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@_format_option("table", "json", "csv")
def leaderboard(run_path: Path, form: str) -> None:
    """Rank what a RUN has trained: candidates and baselines in one list."""
    _print_leaderboard(run_path, form)


def _print_leaderboard(run_path: Path, form: str) -> None:
    from . import leaderboard as board
    from .objective import parse_objectives
    from .run import Run

    run = Run(run_path)
    config = run.config()
    records = run.records()
    objectives = parse_objectives(config["search"]["objective"])
    if form == "json":
        click.echo(board.to_json(records, objectives))
    elif form == "csv":
        click.echo(board.to_csv(records, objectives))
    else:
        search = config["search"]
        recipe = search["recipe"]
        images = recipe["images_per_epoch"] or "all"
        title = (
            f"{run_path}: {search['dataset']}, space {config['space']['name']}, "
            f"recipe {recipe['name']}, {recipe['epochs']} epochs of {images} images"
        )
        surroundings = board.surroundings(records)
        title += f", {surroundings}" if surroundings else ""
        _print_table(board.to_table(records, title, objectives))
        click.echo(board.summary(records, objectives))


@commands.command()
@click.argument("run_path", metavar="RUN", type=PATH)
@click.argument("target", metavar="DIR", type=PATH)
@click.option("--rank", type=int, help="The candidate at this rank of the list; default: the best.")
@click.option("--trial", type=int, help="The candidate of this trial.")
@click.option("--force", is_flag=True, help="Replace a bundle that is there.")
def export(run_path: Path, target: Path, rank: int | None, trial: int | None, force: bool) -> None:
    """Write a candidate of RUN to the folder DIR: architecture, parameters, manifest."""
    if rank is not None and trial is not None:
        raise InputError("--rank and --trial: only one of them can be given")
    from . import bundle
    from .run import Run

    run = Run(run_path)
    run.config()
    record = bundle.choose(run, rank, trial)
    bundle.export(run, record, target, force)
    click.echo(
        f"{target}: trial {record.trial}, {record.name}, "
        f"validation accuracy {record.val_accuracy:.4f}"
    )


@commands.command()
@click.argument("path", metavar="DIR", type=PATH)
@_data_option
@_device_options
def verify(path: Path, data_dir: Path | None, device: str, threads: int | None) -> None:
    """Reload the bundle DIR in a fresh process; fail unless its accuracy comes back."""
    tune(threads, device)
    from . import bundle

    try:
        opened = bundle.open_bundle(path)
    except bundle.DamagedError as error:
        click.echo(f"NOT the same: {error}")
        sys.exit(1)
    result = bundle.verify(opened, data_dir, device)
    how = f"{result.images} images"
    if result.trained_in != "float32":
        how += f"; trained in {result.trained_in}, evaluated in float32 then and now"
    click.echo(
        f"{path}: validation accuracy {result.measured:.6f}, recorded {result.recorded:.6f} "
        f"({how}): {'verified' if result.holds else 'NOT the same'}"
    )
    if not result.holds:
        sys.exit(1)


@commands.command()
@click.argument("path", metavar="DIR", type=PATH)
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="`test` opens the sealed test set; each look is noted.",
)
@_data_option
@_format_option("text", "json")
@_device_options
def evaluate(
    path: Path, split: str, data_dir: Path | None, form: str, device: str, threads: int | None
) -> None:
    """Measure the bundle DIR on a part of its data set."""
    tune(threads, device)
    from .bundle import open_bundle
    from .gluon.evaluation import evaluate_bundle

    result = evaluate_bundle(open_bundle(path), split, data_dir, device)
    for notice in result.pop("notices"):
        click.echo(notice, err=True)
    if form == "json":
        click.echo(json.dumps(result))
    else:
        click.echo(
            f"{path}: {split} accuracy {result['accuracy']:.4f} "
            f"({result['correct']} of {result['images']} images), loss {result['loss']:.4f}"
        )


@commands.command()
@click.argument("path", metavar="DIR", type=PATH)
@click.argument("name")
def register(path: Path, name: str) -> None:
    """Make the bundle DIR known to GluonCV's get_model as NAME."""
    from .bundle import open_bundle
    from .gluon import zoo

    click.echo(f"{zoo.register(open_bundle(path), name)}")


@commands.command()
@click.argument("architecture", metavar="FILE|JSON")
@_format_option("table", "json")
def describe(architecture: str, form: str) -> None:
    """Print an architecture block by block: a file, inline JSON, a bundle, or `notebook`."""
    from .architecture import read_architecture, stages

    arch = read_architecture(architecture)
    if form == "json":
        steps = [stage._asdict() for stage in stages(arch)]
        value = {"identity": arch.identity, "parameters": arch.parameters, "macs": arch.macs}
        click.echo(json.dumps({**value, "architecture": arch.to_json(), "stages": steps}, indent=1))
    else:
        _print_table(_description(arch))


def _description(arch: Architecture) -> Any:
    from rich.table import Table

    from .architecture import stages

    table = Table(title=f"architecture {arch.identity}", title_justify="left", show_footer=True)
    table.add_column("step", "total")
    table.add_column("operation")
    table.add_column("output shape")
    table.add_column("parameters", f"{arch.parameters:,}", justify="right")
    table.add_column("MACs", f"{arch.macs:,}", justify="right")
    for stage in stages(arch):
        what = stage.what
        if stage.name.endswith("unit 0"):
            what += f" {list(arch.blocks[int(stage.name.split()[1])])}"
        shape = " x ".join(map(str, stage.out_shape))
        table.add_row(stage.name, what, shape, f"{stage.parameters:,}", f"{stage.macs:,}")
    return table


@commands.command()
@click.argument("space", required=False)
@click.option("--dataset", default=None, help="Whose images the costs are for.")
@_format_option("table", "json")
def spaces(space: str | None, dataset: str | None, form: str) -> None:
    """List the shipped search spaces, or print SPACE with its size and costs."""
    from .space_file import read_space, shipped_spaces

    if space is None:
        listing = {name: read_space(name).description for name in shipped_spaces()}
        if form == "json":
            click.echo(json.dumps(listing, indent=1))
        else:
            for name, description in listing.items():
                click.echo(f"{name:12} {description}")
        return
    chosen = read_space(space)
    facts = _space_facts(chosen, dataset)
    if form == "json":
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo(chosen.text.rstrip() + "\n")
        click.echo(f"distinct architectures, limits apart: {facts['size']:,}")
        for what in ("parameters", "macs"):
            low, high = facts[what]
            click.echo(f"{what} for {facts['dataset']}, limits apart: {low:,} to {high:,}")
        for key, limit in chosen.limits.items():
            click.echo(f"limit {key}: {limit:,}")


def _space_facts(space: SearchSpace, dataset: str | None) -> dict[str, Any]:
    from .catalogue import dataset_info

    info = dataset_info(dataset or space.dataset or "cifar10")
    costs = space.cost_range(len(info.classes), info.image_shape)
    facts = {"name": space.name, "description": space.description, "size": space.size()}
    return {**facts, "dataset": info.name, **costs, "limits": space.limits}


@commands.command()
@click.argument("dataset", required=False)
@_data_option
@click.option("--mirror", help="Address of another folder with the archives, tried first.")
def data(dataset: str | None, data_dir: Path | None, mirror: str | None) -> None:
    """List the data sets, or download DATASET."""
    from .catalogue import DATASETS, dataset_info

    if dataset is None:
        for name, info in DATASETS.items():
            shape = " x ".join(map(str, info.image_shape))
            click.echo(f"{name:14} {info.title}: {len(info.classes)} classes, {shape}")
        return
    dataset_info(dataset)
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    from .download import download, find_whole

    there = find_whole(dataset, data_dir)
    if there:
        click.echo(f"{dataset} is already there: {there}")
        return
    bar = Progress(
        *Progress.get_default_columns(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(dataset, total=None)
        folder = download(
            dataset,
            data_dir,
            mirror,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    click.echo(f"{dataset}: {folder}")


@commands.command()
@click.argument("architecture", metavar="FILE|JSON")
@click.option("--dataset", default="digits", show_default=True, help="Whose images go through.")
@_data_option
@click.option("--images", type=click.IntRange(2), default=128, show_default=True)
@click.option("--picture", type=PATH, help="Draw to this file: .png, .svg or .pdf.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@_format_option("table", "json")
@_device_options
def probe(
    architecture: str,
    dataset: str,
    data_dir: Path | None,
    images: int,
    picture: Path | None,
    seed: int,
    form: str,
    device: str,
    threads: int | None,
) -> None:
    """Show how activations and gradients spread at the start, by initialiser and batch norm."""
    tune(threads, device)
    from . import data as datasets
    from .architecture import read_architecture
    from .batches import normalisation
    from .gluon import initialisation
    from .gluon.runtime import resolve_device

    if picture:
        initialisation.picture_format(picture)
    loaded = datasets.load(dataset, data_dir)
    spreads = initialisation.measure_all(
        _fitted(read_architecture(architecture), loaded),
        normalisation(loaded)(loaded.train.images[:images]),
        loaded.train.labels[:images],
        seed,
        resolve_device(device),
    )
    if picture:
        initialisation.draw(spreads, picture)
    if form == "json":
        click.echo(json.dumps(initialisation.to_json(spreads), indent=1))
    else:
        _print_table(initialisation.to_table(spreads))


def _fitted(architecture: Architecture, dataset: Dataset) -> Architecture:
    """The same blocks for the images and classes of a data set."""
    import dataclasses

    info = dataset.info
    return dataclasses.replace(
        architecture, classes=len(info.classes), input_shape=info.image_shape
    )
