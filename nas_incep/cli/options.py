"""Options that several commands share, and the printing of tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from .._formats import LARGEST
from .._machine import too_many_threads
from .._text import plain
from ..engines import AUTO, prepare
from ..errors import InputError
from ..results.loggers import LOGGERS
from ..results.pruning import PRUNERS, TRAIN, VALIDATION
from .choices import EngineName, OneOf

PATH = click.Path(path_type=Path)


class Integer(click.IntRange):
    """The type of every option that is an integer."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if number > LARGEST:
            self.fail(f"{value} is too large: at most {LARGEST} is expected", param, ctx)
        return number


class Real(click.FloatRange):
    """The type of every option that is a real number: always a finite one.

    `zero` says what becomes of a network with 0, where only positive numbers are taken.
    """

    def __init__(self, *arguments: Any, zero: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._zero = zero

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = click.FLOAT.convert(value, param, ctx)
        # nan passes every comparison with a range.
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        if number == 0 and self._zero:
            self.fail(f"{value}: a positive number is expected; {self._zero}", param, ctx)
        return super().convert(value, param, ctx)


def display_options(function: Any) -> Any:
    quiet = click.option("--quiet", "-q", is_flag=True, help="Show notices and the result alone.")
    verbose = click.option(
        "--verbose", "-v", is_flag=True, help="Show each epoch, in a terminal, too."
    )
    return quiet(verbose(function))


def threads_option(function: Any) -> Any:
    return click.option(
        "--threads", type=Integer(1), help="CPU threads; default: all that are available."
    )(function)


def devices_option(function: Any) -> Any:
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto, cpu, gpu or gpu:K; a list like gpu:0,gpu:1 for several workers.",
    )(function)


def workers_option(function: Any) -> Any:
    return click.option(
        "--workers",
        "-j",
        help="Number of worker processes, or auto; 0: train in this process. Default: one per "
        "device, or on a CPU one per core, at most 8.",
    )(function)


def finals_options(function: Any) -> Any:
    share = click.option(
        "--finals",
        metavar="SHARE",
        help="How much of the candidates' training goes to the finals, in which the best are "
        "trained again with fresh seeds; none, or up to 0.9. Default: 0.3, but none with several "
        "objectives.",
    )
    epochs = click.option(
        "--final-epochs", type=Integer(1), help="Epochs in the finals; default: as in the search."
    )
    return share(epochs(function))


def anew_option(function: Any) -> Any:
    return click.option(
        "--anew",
        is_flag=True,
        help="If they have begun with another number of epochs, set those trainings aside in the "
        "run folder and begin anew.",
    )(function)


def logger_option(function: Any) -> Any:
    return click.option(
        "--logger",
        type=OneOf((*LOGGERS, "none")),
        multiple=True,
        callback=lambda context, option, names: names or None,
        help="Log each training for TensorBoard or MLflow, too, in the run folder or where "
        "MLFLOW_TRACKING_URI says; repeatable.",
    )(function)


def resume_options(function: Any) -> Any:
    """What may be another in each call that works on a run: its time, resources and places."""
    for option in (
        data_option,
        storage_option,
        threads_option,
        devices_option,
        workers_option,
        timeout_option,
        logger_option,
    ):
        function = option(function)
    return function


def pruner_options(function: Any) -> Any:
    """`pruner`, `first_rung`, `reduction` and `prune_by`."""
    pruner = click.option(
        "--pruner",
        type=OneOf(PRUNERS),
        default="none",
        show_default=True,
        help="Which candidates are stopped early.",
    )
    first = click.option(
        "--first-rung",
        type=Integer(1),
        help="Epochs before pruning; default: a quarter of all.",
    )
    by = click.option(
        "--prune-by",
        type=OneOf((TRAIN, VALIDATION)),
        help="Images whose accuracies are compared; default: train.",
    )
    reduction = click.option(
        "--reduction",
        type=Integer(2),
        default=3,
        show_default=True,
        help="One in this many continues.",
    )
    return pruner(first(reduction(by(function))))


def timeout_option(function: Any) -> Any:
    return click.option("--timeout", type=Real(0, min_open=True), help="Seconds for this call.")(
        function
    )


def device_options(function: Any) -> Any:
    device = click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, gpu or gpu:K."
    )
    return device(threads_option(function))


def choice_options(function: Any) -> Any:
    """The options that choose a network of a run, of which only one can be given."""

    def only(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
        other = "trial" if param.name == "rank" else "rank"
        if value is not None and ctx.params.get(other) is not None:
            raise InputError("--rank and --trial: only one of them can be given")
        return value

    trial = click.option(
        "--trial", type=Integer(0), callback=only, help="Trial number of the candidate."
    )
    rank = click.option(
        "--rank",
        type=Integer(1),
        callback=only,
        help="Rank of the candidate in the list; default: the best one.",
    )
    return rank(trial(function))


def engine_option(function: Any) -> Any:
    return _engine_option("Gluon where MXNet can compute on the device, else PyTorch.")(function)


def trained_engine_option(function: Any) -> Any:
    """`--engine` of commands about a network that an engine has trained."""
    return _engine_option(
        "the engine that trained the network where it is installed (Gluon: and MXNet can compute "
        "on the device), else the other one."
    )(function)


def _engine_option(auto: str) -> Any:
    return click.option(
        "--engine", type=EngineName(), default=AUTO, show_default=True, help=f"auto: {auto}"
    )


def storage_option(function: Any) -> Any:
    return click.option(
        "--storage",
        metavar="URL",
        envvar="NAS_INCEP_STORAGE",
        help="Database for the study, for workers on several machines: postgresql://, mysql:// or "
        "grpc://; may be given as NAS_INCEP_STORAGE instead, which hides the password.",
    )(function)


def data_option(function: Any) -> Any:
    return click.option(
        "--data-dir",
        type=PATH,
        help="Folder of the data set's files; default: MXNet's own. Of your own data: the path, if "
        "they were moved.",
    )(function)


def image_options(function: Any) -> Any:
    """How images of one's own are prepared: `image_size`, `channels` and `flip`."""
    size = click.option(
        "--image-size",
        type=Integer(1),
        help="Pixels of a side that your own images are resized to; default: 32, or their own size "
        "if it is the same for all and small.",
    )
    channels = click.option(
        "--channels", type=Integer(1), help="1 (gray) or 3 (color); default: as your images are."
    )
    flip = click.option(
        "--flip", is_flag=True, help="Also train on your images mirrored left to right."
    )
    return size(channels(flip(function)))


def format_option(*formats: str) -> Any:
    return click.option(
        "--format",
        "form",
        type=OneOf(formats),
        default=formats[0],
        show_default=True,
        help="How the result is printed.",
    )


def print_table(table: Any) -> None:
    """Prints a table; if standard output is not a terminal, up to 200 columns wide."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def prepare_aloud(
    engine: str, threads: int | None, device: str, deterministic: bool = False
) -> None:
    """Configures this process for an engine; says if there are more threads than CPUs."""
    for notice in too_many_threads(threads):
        click.echo(notice, err=True)
    prepare(engine, threads, device, deterministic)


def show_notice(notice: str) -> None:
    """Prints a notice, which may hold text from files, to standard error."""
    click.echo(plain(notice, limit=1000), err=True)
