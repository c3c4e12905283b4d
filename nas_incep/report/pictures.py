"""Single pictures of a run as files."""

from __future__ import annotations

from pathlib import Path

from .._files import picture_format
from ..errors import InputError
from ..results.run import Run
from .contents import Contents, read_contents
from .figures import KINDS, draw
from .style import NothingToDraw


def write_picture(run: Run, kind: str, output: Path) -> Contents:
    """Draws one picture of a run, one of KINDS, into a .png, .svg or .pdf file; what it shows.

    Raises InputError for another kind or name, if the folder is no run, or if it has nothing for
    the picture.
    """
    if kind not in KINDS:
        raise InputError(f"picture {kind!r}: one of {', '.join(KINDS)} is expected")
    picture_format(output)
    if output.is_dir():
        raise InputError(f"{output}: is a folder, the name of a file is expected")
    contents = read_contents(run)
    try:
        draw(kind, contents).save(output)
    except NothingToDraw as why:
        raise InputError(f"{run.path}: there is nothing to draw: {why}") from None
    return contents
