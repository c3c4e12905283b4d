"""Commands as this program has them: options under headings, and suggestions for other names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

# What users of other programs try, with the name that it has here. Names that are only mistyped
# are found without this list.
OPTION_NAMES = {
    "--learning-rate": "--lr",
    "--weight-decay": "--wd",
    "--samples": "--trials",
    "--n-trials": "--trials",
    "--num-samples": "--trials",
    "--scheduler": "--pruner",
    "--eta": "--reduction",
    "--reduction-factor": "--reduction",
    "--grace-period": "--first-rung",
    "--algorithm": "--sampler",
    "--metric": "--objective",
    "--model": "--baseline",
    "--framework": "--engine",
    "--backend": "--engine",
    "--gpus": "--device",
    "--num-gpus": "--device",
    "--ctx": "--device",
    "--jobs": "--workers",
    "--output": "--run",
    "--output-dir": "--run",
    "--log-dir": "--run",
    "--data": "--data-dir",
    "--data-path": "--data-dir",
    "--random-seed": "--seed",
    "--max-flops": "--max-macs",
    "--max-parameters": "--max-params",
    "--max-latency": "--max-latency-ms",
    "--time-limit": "--timeout",
    "--json": "--format json",
    "--limit": "--top",
    "--follow": "--watch",
    "--csv": "--format csv",
}
COMMAND_NAMES = {
    "train": "search",
    "run": "search",
    "tune": "search",
    "start": "search",
    "continue": "resume",
    "join": "worker",
    "rank": "leaderboard",
    "results": "leaderboard",
    "status": "leaderboard",
    "show": "leaderboard",
    "list": "leaderboard",
    "test": "evaluate",
    "eval": "evaluate",
    "save": "export",
    "download": "data",
    "datasets": "data",
    "space": "spaces",
    "summary": "describe",
}


def near(name: str, names: Iterable[str], others: Mapping[str, str]) -> list[str]:
    """What somebody may have meant by a name that does not exist: other words for it, or typos."""
    known = list(names)
    meant = [others[name]] if name in others and others[name].split()[0] in known else []
    return meant or difflib.get_close_matches(name, known, n=2)


def did_you_mean(names: Sequence[str]) -> str:
    """A phrase to follow a sentence that ends without a period; empty without names."""
    return f"; did you mean {' or '.join(names)}?" if names else ""


class Command(click.Command):
    """A command whose help shows the options under headings.

    `sections` has the names of the parameters under each; options that it does not name follow.
    """

    def __init__(
        self, *arguments: Any, sections: Mapping[str, Sequence[str]] | None = None, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self._sections = sections or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        left = {
            str(option.name): record
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            and (record := option.get_help_record(ctx)) is not None
        }
        for heading, names in self._sections.items():
            rows = [left.pop(name) for name in names if name in left]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        if left:
            with formatter.section("Other options" if self._sections else "Options"):
                formatter.write_dl(list(left.values()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            options = [name for param in self.get_params(ctx) for name in param.opts]
            meant = near(error.option_name, options, OPTION_NAMES)
            raise click.UsageError(
                f"No such option '{error.option_name}'{did_you_mean(meant)}", ctx
            ) from None


# Under which headings the help shows the commands, each in the order of use.
SECTIONS = {
    "Search": ("search", "resume", "worker", "finals", "fidelity", "simulate"),
    "Look at a run": ("leaderboard", "report", "plot", "compare", "dashboard", "describe"),
    "Take a network": ("export", "retrain", "verify", "evaluate", "predict", "register", "convert"),
    "Look up": ("spaces", "data", "probe"),
}


class Program(click.Group):
    """The group of all commands, which suggests one for a name that does not exist."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = {name: c for name, c in self.commands.items() if not c.hidden}
        width = formatter.width - 2 - max(map(len, shown)) - 2
        for heading, names in SECTIONS.items():
            with formatter.section(heading):
                rows = [(name, shown.pop(name).get_short_help_str(width)) for name in names]
                formatter.write_dl(rows, col_max=30)
        assert not shown, "a command is under no heading"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            shown = [key for key, command in self.commands.items() if not command.hidden]
            meant = near(name, shown, COMMAND_NAMES)
            raise click.UsageError(f"No such command '{name}'{did_you_mean(meant)}", ctx)
        return super().resolve_command(ctx, args)
