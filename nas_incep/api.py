"""The Python interface: a search by the keywords of the command line, and its run as tables.

docs/python.md has examples. Importing this module imports no framework.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError

if TYPE_CHECKING:
    import pandas

    from .records import EpochResult, TrialRecord
    from .results.fidelity import Certificate
    from .results.run import Run
    from .search.start import Plan

OnEpoch = Callable[[str, "EpochResult"], None]
OnTrial = Callable[["TrialRecord"], None]


def search(
    space: str | Path,
    run: str | Path,
    *,
    progress: bool = True,
    on_epoch: OnEpoch | None = None,
    on_trial: OnTrial | None = None,
    **options: Any,
) -> SearchRun:
    """Searches a space, as `nas-incep search` does, and returns the run with its results.

    `space` is a shipped space's name or a TOML file, `run` the folder of the run; a run that has
    begun goes on. The options are named as those of the command line, with underscores:
    `trials=6, batch_size=32, baseline=["none"]`. `progress` shows bars or log lines on standard
    error. `on_epoch` is called with a training's label (`trial 3`) and its EpochResult, `on_trial`
    with each TrialRecord; an error that they raise, and Ctrl-C, end the search, and everything
    finished is kept. Raises InputError for invalid options, SearchFailed if the search cannot
    go on, TypeError for an option that does not exist.
    """
    from .search.start import plan_search

    _check_names(options, plan_search)
    return _carried_out(plan_search(space, run, **options), progress, on_epoch, on_trial)


def open_run(path: str | Path) -> SearchRun:
    """The run in a folder, finished or not. Raises InputError if there is none."""
    opened = SearchRun(path)
    opened._run.config()
    return opened


class SearchRun:
    """A run folder: what a search has found, read anew at each call."""

    def __init__(self, path: str | Path) -> None:
        from .results.run import Run

        self._run: Run = Run(Path(path))

    @property
    def path(self) -> Path:
        """The folder."""
        return self._run.path

    def resume(
        self,
        *,
        progress: bool = True,
        on_epoch: OnEpoch | None = None,
        on_trial: OnTrial | None = None,
        **options: Any,
    ) -> SearchRun:
        """Goes on with the search, as `nas-incep resume` does: `run.resume(trials=40)`.

        Arguments and errors as in `search`.
        """
        from .search.start import plan_resume

        _check_names(options, plan_resume)
        return _carried_out(plan_resume(self.path, **options), progress, on_epoch, on_trial)

    def finals(
        self, share: float | str | None = None, *, epochs: int | None = None, **options: Any
    ) -> SearchRun:
        """Trains the best again with fresh seeds, as `nas-incep finals` does.

        `share` is how much of the candidates' training goes to it, as a fraction, by default what
        the search was asked for, else 0.3; `epochs` is the length of each such training, by default
        that of the search. Other options and errors as in `resume`.
        """
        from .search.defaults import finals_share

        share = finals_share(self._run, share)
        return self.resume(finals=share, final_epochs=epochs, **options)

    def fidelity(
        self,
        *,
        networks: int = 12,
        top: int = 4,
        seeds: int = 2,
        times: int = 4,
        progress: bool = True,
        **options: Any,
    ) -> Certificate:
        """Trains some networks for longer and tells how far the ranking can be believed.

        As `nas-incep fidelity` does: `networks` random candidates and the `top` best, `times` as
        many epochs as in the search, each with `seeds` seeds. `verdict` of the result is a
        sentence, `taus` the figures. Raises InputError if fewer than 4 networks have completed
        their long trainings. Other options and errors as in `resume`.
        """
        from .results.fidelity import Fidelity
        from .results.ranking import certificate

        asked = Fidelity(networks, top, seeds, times)
        self.resume(progress=progress, fidelity=asked, **options)
        return certificate(self._run, asked)

    def report(self, path: str | Path | None = None) -> Path:
        """Writes the run as an HTML file, by default `report.html` in its folder; returns its path.

        Raises InputError if the file cannot be written.
        """
        from .report.page import write_report

        target = Path(path) if path else self._run.report_path
        write_report(self._run, target)
        return target

    def plot(self, kind: str, path: str | Path) -> Path:
        """Draws one picture of the run into a .png, .svg or .pdf file, as `nas-incep plot` does.

        Returns its path. Raises InputError for another kind, or if there is nothing to draw.
        """
        from .report.pictures import write_picture

        write_picture(self._run, kind, Path(path))
        return Path(path)

    @property
    def records(self) -> list[TrialRecord]:
        """The records of the search: baselines by name, then candidates by number.

        Raises InputError if one of them cannot be read.
        """
        return self._run.records()

    @property
    def best(self) -> TrialRecord:
        """The record of the best candidate. Raises InputError if none is complete."""
        from .export.bundle import choose

        return choose(self._run, self._run.config())

    def leaderboard(self) -> pandas.DataFrame:
        """The ranking, with the columns of `nas-incep leaderboard --format json`.

        Raises InputError without pandas, as the other tables do.
        """
        from .results.leaderboard import COLUMNS

        return _frame(self._rows(), COLUMNS)

    def trials(self) -> pandas.DataFrame:
        """A row for each training and each candidate that was not trained, in order of time."""
        from .records import RERUNS
        from .results.frames import TRIAL_COLUMNS, trial_rows

        records = [*self._run.records(), *self._run.reruns(stages=RERUNS)]
        return _frame(trial_rows(records), TRIAL_COLUMNS)

    def curves(self) -> pandas.DataFrame:
        """A row for each epoch of each training: losses, accuracies, images and seconds."""
        from .records import RERUNS
        from .results.frames import CURVE_COLUMNS, curve_rows

        records = [*self._run.records(), *self._run.reruns(stages=RERUNS)]
        return _frame(curve_rows(records), CURVE_COLUMNS)

    def export(
        self,
        path: str | Path,
        *,
        rank: int | None = None,
        trial: int | None = None,
        force: bool = False,
        onnx: bool = False,
        symbol: bool = False,
        torch: bool = False,
        data_dir: str | Path | None = None,
    ) -> Path:
        """Writes the best candidate, or the network of a rank or trial, as a bundle; its folder.

        `force` replaces a bundle there. `onnx`, `symbol` and `torch` add the network for other
        programs, as the options of `nas-incep export` do. Raises InputError if there is nothing to
        export, or what a file is written with is not installed.
        """
        from .export import bundle, models

        if rank is not None and trial is not None:
            raise InputError("rank and trial: only one of them can be given")
        asked = {models.ONNX: onnx, models.SYMBOLIC: symbol, models.TORCH: torch}
        kinds = [kind for kind, is_asked in asked.items() if is_asked]
        models.check_kinds(kinds)
        config = self._run.config()
        folder = Path(data_dir) if data_dir else config.request.data_dir

        def add_models(new: bundle.Bundle) -> None:
            models.add_models(new, kinds, folder, lambda said: None)

        record = bundle.choose(self._run, config, rank, trial)
        target = Path(path)
        bundle.export(self._run, config, record, target, force, add_models if kinds else None)
        return target

    def _rows(self) -> list[dict[str, Any]]:
        from .results.leaderboard import rows
        from .results.ranking import rank_run

        request, records = self._run.config().request, self._run.records()
        ranking = rank_run(request, records, self._run.reruns())
        return rows(records, request.objectives, ranking.standings)

    def __repr__(self) -> str:
        return f"SearchRun({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """The leaderboard, for notebooks."""
        from .results.frames import to_html

        return to_html(self._rows(), str(self.path))


def _carried_out(
    plan: Plan, progress: bool, on_epoch: OnEpoch | None, on_trial: OnTrial | None
) -> SearchRun:
    from .search.callbacks import CallbackDisplay
    from .search.display import make_display

    display = CallbackDisplay(make_display(quiet=not progress), on_epoch, on_trial)
    plan.carry_out(display)
    return SearchRun(plan.run.path)


def _check_names(options: Mapping[str, Any], function: Callable[..., Any]) -> None:
    """Raises TypeError for an option that does not exist, naming the one that is probably meant."""
    known = [name for name in inspect.signature(function).parameters if name != "own_process"]
    for name in options:
        if name not in known:
            meant = difflib.get_close_matches(name, known)
            raise TypeError(
                f"there is no option {name!r}" + (f"; did you mean {meant[0]!r}?" if meant else "")
            )


def _frame(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> pandas.DataFrame:
    try:
        import pandas
    except ImportError as error:
        raise InputError(f"tables need pandas ({error}): pip install 'nas-incep[pandas]'") from None
    return pandas.DataFrame(list(rows), columns=list(columns))
