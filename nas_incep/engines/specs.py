"""How users name a baseline: `NAME` or `NAME@SIZE`, behind the folder of a converted network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..recipe import PRETRAINED, own_settings, settings_text

INCEPTION3 = "inceptionv3"
# With global pooling at its end, Inception3's poolings and strides still need 75 pixels.
INCEPTION3_STOCK, INCEPTION3_LEAST = 299, 75
# The largest size that is tried for a network that does not fit the images.
MAX_TRIED = 1024
# What `convert` writes of a network NAME: MXNet's own names, as HybridBlock.export has them.
SYMBOL, PARAMS = "-symbol.json", "-0000.params"
# Marks in the graph of a network, which MXNet ignores. Of a node: which of its attributes are the
# number of classes. Of a variable: never trained.
CLASSES, FIXED = "__classes__", "__fixed__"
# Of a graph, which may come from a stranger.
MAX_NODES = 20_000
MAX_PARAMETERS = 1 << 29
MAX_VALUES = 1 << 26  # that one operator makes of one image
MAX_PLACE = 200  # characters of a parameter's name
# A function of the user's own that makes a network, then what may follow a name of the zoo.
_IMPORT_PATH = re.compile(
    r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)(@[^:/]*)?(:[^/]*)?", re.ASCII
)


def split_folder(spec: str) -> tuple[str, str]:
    """The folder of a converted network, empty for one of a zoo, and the baseline's name.

    The name, with size and settings, is that of its record: folders differ between machines.
    """
    folder, slash, name = spec.rpartition("/")
    return folder or slash, name


def parse_baseline(spec: str) -> tuple[str, int | None]:
    """The name and the image size in pixels of `NAME` or `NAME@SIZE`. Raises InputError.

    Settings after a colon, which `recipe.own_settings` reads, are left out.

    Without a size, the zoo's `inception3` uses its stock size; for other names the size is None,
    and the images are not resized. Whether a zoo has a network of that name is not checked.
    """
    folder, text = split_folder(spec)
    network = text.partition(":")[0]
    match = re.fullmatch(r"([a-z0-9_.]+)(?:@([1-9][0-9]{0,3}))?", network.lower())
    if not match:
        raise InputError(f"baseline {spec!r}: NAME or NAME@SIZE is expected, as in inception3@75")
    name, size = match[1], int(match[2]) if match[2] else None
    if folder or name not in ("inception3", INCEPTION3):
        return name, size
    size = size or INCEPTION3_STOCK
    if size < INCEPTION3_LEAST:
        raise InputError(
            f"baseline {spec}: Inception3 needs images of at least {INCEPTION3_LEAST} pixels: "
            f"inception3@{INCEPTION3_LEAST} fits"
        )
    return INCEPTION3, size


@dataclass(frozen=True)
class ImportPath:
    """A function of a Python module that makes a network: `MODULE:FUNCTION`."""

    module: str
    function: str
    rest: str  # `@SIZE` and `:SETTINGS` behind it

    @property
    def name(self) -> str:
        """The name of the network, as those of the zoos are named."""
        return f"{self.module}.{self.function}".lower()

    def __str__(self) -> str:
        return f"{self.module}:{self.function}"


def import_path(spec: str) -> ImportPath | None:
    """The function that a baseline names, as in `my_nets:small@64`; None if it names none.

    `NAME:pretrained` is a setting of a zoo's network. Only what a user has just asked for may be
    taken for a function, never what a file says.
    """
    match = _IMPORT_PATH.fullmatch(spec)
    if not match or match[2].lower() == PRETRAINED:
        return None
    return ImportPath(match[1], match[2], "".join(part or "" for part in match.groups()[2:]))


def canonical_baseline(spec: str) -> str:
    """The one name of a network that users may name in several ways. Raises InputError.

    The folder of a converted one is absolute: a worker may have another working directory.
    """
    name, size = parse_baseline(spec)
    folder, own = split_folder(spec)
    if name == INCEPTION3:
        name, size = "inception3", None if size == INCEPTION3_STOCK else size
    text = f"{name}@{size}" if size else name
    try:
        settings = own_settings(own)
    except InputError as error:
        raise InputError(f"baseline {spec}: {error}") from None
    text = f"{text}:{settings_text(settings)}" if settings else text
    return str(Path(folder).absolute() / text) if folder else text


def signature(graph: dict[str, Any], size: int | None, image_shape: tuple[int, int, int]) -> str:
    """A text that two networks share if they compute the same, whatever their names.

    `graph` is symbol JSON; `size` is that of `NAME@SIZE`.
    """
    # The third number of an input tells how often MXNet's process has changed a variable so far.
    nodes = [
        [
            node["op"],
            None if node["op"] == "null" else _settings(node),
            [source[:2] for source in node["inputs"]],
        ]
        for node in graph["nodes"]
    ]
    resized = size if size and image_shape[1:] != (size, size) else None
    return json.dumps([nodes, resized], sort_keys=True)


def _settings(node: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a node without those that are the number of classes."""
    attributes = node.get("attrs", {})
    left_out = {CLASSES, *str(attributes.get(CLASSES, "")).split(",")}
    return {key: value for key, value in attributes.items() if key not in left_out}


def require_fit(
    spec: str, image_shape: tuple[int, int, int], misfit: Callable[[int | None], str]
) -> None:
    """Raises InputError if a baseline does not fit the images, naming a size that would fit.

    `misfit` returns why the network does not fit images that are resized to that many pixels (None:
    as they are), an empty text if it does.
    """
    name, size = parse_baseline(spec)
    reason = misfit(size)
    if not reason:
        return
    found = _least_fitting(size or max(image_shape[1:]), lambda pixels: not misfit(pixels))
    advice = f"; {name}@{found} would fit" if found else ""
    raise InputError(
        f"baseline {spec} does not fit images of {'x'.join(map(str, image_shape))}: "
        f"{reason}{advice}"
    )


def _least_fitting(low: int, fits: Callable[[int], bool]) -> int | None:
    """A size above `low`, which does not fit, by doubling and bisection: the least, as a rule."""
    high = 2 * low
    while not fits(high):
        low, high = high, 2 * high
        if high > MAX_TRIED:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
