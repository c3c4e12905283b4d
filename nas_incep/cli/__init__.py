"""The command line: runs a command and turns its errors into messages and exit statuses.

The commands are in the other modules of this package, one function each, with their heavy imports
inside the function.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback

import click

from .._logs import show_on_stderr
from .._text import gist, plain
from ..errors import InputError, ProcessSpent, SearchFailed, StorageGone, WorkerFault
from . import (
    bundles,
    convert,
    data,
    evidence,
    internal,
    joining,
    look,
    predicting,
    ranking,
    reports,
    retraining,
    search,
    simulation,
)
from .commands import Program

# The exit status of each kind of error; any other error gives 1.
STATUSES = {InputError: 2, SearchFailed: 3, StorageGone: 4, WorkerFault: 1}
STOPPED = 130


def main() -> None:
    """Runs a command; an error ends in a one-sentence message, after a traceback with --debug."""
    # --debug is accepted anywhere: users append it to a command that failed.
    debug = "--debug" in sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may have nothing but ASCII
            stream.reconfigure(errors="backslashreplace")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    arguments = arguments or ["--help"]
    if debug:
        show_on_stderr()
    signal.signal(signal.SIGTERM, _interrupt)
    spent = False
    try:
        status = program.main(arguments, prog_name="nas-incep", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(status)
    except Exception as error:
        if debug:
            traceback.print_exc()
        status, text = _explain(error)
        spent = isinstance(error, ProcessSpent)
    except KeyboardInterrupt:
        if debug:
            traceback.print_exc()
        status, text = STOPPED, "stopped; everything finished is kept"
    if text:
        click.echo(f"nas-incep: {plain(text, limit=10_000)}", err=True)
    if spent:
        sys.stdout.flush()
        os._exit(status)  # a framework may crash, cleaning up
    sys.exit(status)


def _interrupt(*_: object) -> None:
    # A second SIGTERM, from a system that ends all processes at once, must not interrupt the
    # cleanup that the first one started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _explain(error: Exception) -> tuple[int, str]:
    """The exit status and the message for an error."""
    if isinstance(error, click.exceptions.Abort):
        return STOPPED, "stopped; everything finished is kept"
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else "nas-incep"
        return 2, f"{error.format_message()} (see {command} --help)"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.ENOSPC and not place:  # all files that are written are named
            place = "standard output: "
            # Python would complain once more when it flushes at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 2, f"{place}{error.strerror or error}"
    for kind, status in STATUSES.items():
        if isinstance(error, kind):
            return status, str(error)
    if _is_of_storage(error):
        from ..study.database import reason

        return STATUSES[StorageGone], f"the study's storage: {reason(error)}"
    return 1, f"internal error: {type(error).__name__}: {gist(error)} (--debug shows where)"


def _is_of_storage(error: Exception) -> bool:
    """Whether the error comes from a database or a gRPC proxy, found without importing either."""
    causes = [cause for cause in (error, error.__cause__) if cause]
    packages = {type(cause).__module__.partition(".")[0] for cause in causes}
    return not packages.isdisjoint({"sqlalchemy", "grpc", "psycopg", "pymysql"})


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nas-incep", prog_name="nas-incep")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def program(debug: bool) -> None:
    """Search for Inception-based NIN networks, ranked next to the model zoo's."""


COMMANDS = (
    search.search,
    joining.resume,
    joining.finals,
    evidence.fidelity,
    simulation.simulate,
    joining.worker,
    ranking.leaderboard,
    reports.report,
    reports.plot,
    reports.compare,
    reports.dashboard,
    bundles.export,
    bundles.verify,
    bundles.evaluate,
    bundles.register,
    predicting.predict,
    convert.convert,
    retraining.retrain,
    look.describe,
    look.spaces,
    data.data,
    look.probe,
    internal.check,
    internal.measure,
    internal.graph,
    internal.own_graph,
)
for command in COMMANDS:
    program.add_command(command)
