"""The types of options: closed sets of names, and names that the shell completes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..engines import AUTO
from .commands import did_you_mean, near

# Other words for the names in our closed sets.
_OTHER_NAMES = {
    "asha": "sha",
    "successive_halving": "sha",
    "bohb": "hyperband",
    "percentile": "median",
    "bayesian": "tpe",
    "bayes": "tpe",
    "nsga": "nsga2",
    "nsgaii": "nsga2",
    "genetic": "evolution",
    "regularized_evolution": "evolution",
    "momentum": "sgd",
    "nesterov": "nag",
    "adamw": "adam",
    "mxnet": "gluon",
    "gluoncv": "gluon",
    "pytorch": "torch",
    "fp32": "float32",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "default": "brief",
    "val": "validation",
}


class OneOf(click.Choice):  # type: ignore[type-arg, unused-ignore]
    """A closed set of names, in any case; another word for one of them is understood."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(list(names), case_sensitive=False)
        self._names = list(names)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        folded = str(value).lower()
        if folded in self._names:
            return folded
        meant = near(folded.replace("-", "_"), self._names, _OTHER_NAMES)
        listed = ", ".join(self._names)
        raise click.BadParameter(
            f"{value!r} is not one of {listed}{did_you_mean(meant)}", ctx=ctx, param=param
        )


class EngineName(OneOf):
    """An engine: one of a closed set, or `table:PATH`, whose path is taken as it is."""

    def __init__(self) -> None:
        super().__init__((AUTO, "gluon", "torch"))

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return value if str(value).startswith("table:") else super().convert(value, param, ctx)


class SpaceName(click.ParamType):
    """A shipped space, which the shell completes, or a path."""

    name = "space"

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        from ..spaces.reader import shipped_spaces

        names = [name for name in shipped_spaces() if name.startswith(incomplete)]
        files = [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in names] or files


class DatasetName(click.ParamType):
    """A data set, which the shell completes."""

    name = "text"

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        from ..datasets import DATASETS

        return [CompletionItem(name) for name in DATASETS if name.startswith(incomplete)]
