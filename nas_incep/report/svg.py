"""Pictures as SVG elements of a page: in the page's colors, with tooltips and descriptions."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .style import LIGHT, Picture, styled

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_MARKED = ("path", "use")  # the elements that matplotlib makes of a point or a line


def to_svg(picture: Picture, name: str) -> str:
    """The picture as the text of one `svg` element; `name` is unique on the page.

    Colors become CSS variables, `--ink` and the others of `style.LIGHT`. The title and the
    description are for screen readers, and each tip is shown when one points at its mark.
    """
    import matplotlib

    out = io.StringIO()
    # The salt makes the references within pictures differ from one picture to another.
    with styled(), matplotlib.rc_context({"svg.hashsalt": name}):
        picture.figure.savefig(out, format="svg", metadata={"Date": None})
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(out.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    _add_tips(root, picture.tips)
    _drop_ids(root)
    _describe(root, picture, name)
    text = ElementTree.tostring(root, encoding="unicode")
    for variable, color in LIGHT.items():
        text = text.replace(color, f"var(--{variable})")
    return text


def _add_tips(root: Element, tips: dict[str, list[str]]) -> None:
    groups = {group.get("id"): group for group in root.iter(f"{{{_SVG}}}g")}
    for gid, texts in tips.items():
        marks = [
            mark
            for parent in groups[gid].iter()
            if parent.tag != f"{{{_SVG}}}defs"
            for mark in parent
            if mark.tag in (f"{{{_SVG}}}{kind}" for kind in _MARKED)
        ]
        for mark, text in zip(marks, texts):
            ElementTree.SubElement(mark, f"{{{_SVG}}}title").text = text


def _drop_ids(root: Element) -> None:
    """Removes the names that nothing refers to: each picture has the same ones."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)


def _describe(root: Element, picture: Picture, name: str) -> None:
    for size in ("width", "height"):  # the page decides
        del root.attrib[size]
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    for position, (tag, text) in enumerate(
        (("title", picture.title), ("desc", picture.description))
    ):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
