"""The site that `make docs` builds from this folder: the same files that a repository view shows.

A warning is an error there, so a page, a file or a heading that a link does not find fails it.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

project = "nas_incep"
author = "The nas_incep developers"
version = release = importlib.metadata.version("nas-incep")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
html_theme = "furo"
html_title = "nas_incep"
html_copy_source = False
html_show_copyright = False

myst_fence_as_directive = ["mermaid"]  # without a network its text is shown
myst_heading_anchors = 3  # as a repository view makes them

default_role = "literal"  # docstrings put names in single backticks
autodoc_mock_imports = ["mxnet"]  # no page needs a framework
sys.modules["gluoncv"] = None  # type: ignore[assignment]  # as if it were not installed
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_hints = True
python_maximum_signature_line_length = 100


def setup(app: Any) -> None:
    app.connect("source-read", _read_notebook)


def _read_notebook(app: Any, name: str, source: list[str]) -> None:
    """Gives Sphinx a notebook as a page of Markdown."""
    if Path(app.env.doc2path(name)).suffix == ".ipynb":
        source[0] = "\n\n".join(map(_page_part, json.loads(source[0])["cells"]))


def _page_part(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return text
    return "\n\n".join([f"```python\n{text}\n```", *map(_output_part, cell["outputs"])])


def _output_part(output: dict[str, Any]) -> str:
    """An output in the richest form that a page can show."""
    if output["output_type"] == "stream":
        return _literal("".join(output["text"]))
    forms = output["data"]
    if "image/png" in forms:
        return f"![](data:image/png;base64,{''.join(forms['image/png']).strip()})"
    if "text/html" in forms:
        return "```{raw} html\n" + "".join(forms["text/html"]) + "\n```"
    return _literal("".join(forms["text/plain"]))


def _literal(text: str) -> str:
    return "```text\n" + re.sub(r"\x1b\[[0-9;]*m", "", text).rstrip() + "\n```"
