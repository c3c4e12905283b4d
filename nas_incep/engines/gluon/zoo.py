"""Networks by name, as GluonCV's users expect them.

A registered bundle is stored beside the model zoo's own files, in `~/.mxnet/models` or
`$MXNET_HOME/models`. It consists of `NAME-SHA1.params`, named like the zoo's files by the first 8
digits of its SHA-1, and `NAME.json`, which holds the architecture.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from ..._files import atomic_file, read_json, write_json
from ..._formats import read, unwrap
from ...architecture import NOTEBOOK, Architecture, from_json
from ...errors import InputError
from .loading import load_parameters
from .networks import Network, build_network

FORMAT = "nas-incep-model"
VERSION = 1

NOTEBOOK_NAME = "nas_incep_notebook"
DEFAULT_ROOT = "~/.mxnet/models"


@dataclass(frozen=True)
class _Entry:
    """The contents of NAME.json for a registered network."""

    architecture: dict[str, Any]
    sha1: Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
    preprocessing: dict[str, Any]
    classes: tuple[str, ...]
    accuracy: dict[str, Any]


def get_model(
    name: str,
    pretrained: bool | str = False,
    classes: int | None = None,
    ctx: Any = None,
    root: str = DEFAULT_ROOT,
) -> Network:
    """The notebook's network (`nas_incep_notebook`) or a registered bundle's.

    `pretrained` loads the registered parameters on `ctx`, by default the CPU; a string is a prefix
    that their hash must have. Without it the parameters are not initialized. `classes` defaults to
    the registered number. Raises InputError, a ValueError, for an unknown name or parameters that
    do not fit.
    """
    name = name.lower()
    entry = None if name == NOTEBOOK_NAME else _entry(name, root)
    architecture = NOTEBOOK if entry is None else _architecture(entry, name, root)
    if classes is not None and classes != architecture.classes:
        if pretrained:
            raise InputError(
                f"{name}: its parameters are for {architecture.classes} classes, not {classes}"
            )
        # A head that keeps the shape of its maps only fits one number of classes.
        architecture = replace(architecture, classes=classes, same_shape=False)
    network = build_network(architecture)
    if not pretrained:
        return network
    if entry is None:
        raise InputError(
            f"{name}: has no pretrained parameters; export a trained network and register it"
        )
    if isinstance(pretrained, str) and not entry.sha1.startswith(pretrained):
        raise InputError(f"{name}: has parameters {entry.sha1[:8]}, not {pretrained}")
    path = _parameters_path(name, entry.sha1, root)
    if not path.exists():
        raise InputError(f"{path}: is missing; register {name} again")
    found = _sha1(path)
    if found != entry.sha1:
        raise InputError(f"{path}: damaged: its SHA-1 is {found}, expected {entry.sha1}")
    load_parameters(network, path, ctx)
    return network


def register(
    architecture: Architecture,
    weights: Path,
    about: dict[str, Any],
    name: str,
    root: str = DEFAULT_ROOT,
) -> Path:
    """Copies a network's weights to the model zoo's folder under a name that the user chooses.

    `about` (preprocessing, classes, accuracy) is stored beside them. Replaces a network that was
    registered under that name. Returns the path of the copy. Raises InputError if the name is
    invalid or taken by the zoo, or there is no folder.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.]*", name):
        raise InputError(f"name {name!r}: lower-case letters, digits, '_' and '.' are expected")
    models = gluoncv_models()
    ours = isinstance(models.get(name), functools.partial)
    if name == NOTEBOOK_NAME or (name in models and not ours):
        raise InputError(f"name {name!r}: GluonCV's model zoo has a network of that name")
    if _folder(root) is None:
        raise InputError(f"{root}: there is no home folder; set MXNET_HOME to a folder")
    sha1 = _sha1(weights)
    path = _parameters_path(name, sha1, root)
    replaced = _entry(name, root).sha1 if name in _registered(root) else sha1
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        shutil.copyfile(weights, temporary)
    entry = {"architecture": architecture.to_json(), "sha1": sha1, **about}
    write_json(_entry_path(name, root), {"format": FORMAT, "version": VERSION, **entry})
    if replaced != sha1:
        _parameters_path(name, replaced, root).unlink(missing_ok=True)
    announce(root)
    return path


def announce(root: str = DEFAULT_ROOT) -> None:
    """Adds the networks of this package to `gluoncv.model_zoo.get_model`."""
    for name in [NOTEBOOK_NAME, *_registered(root)]:
        # GluonCV passes its keywords on, `root` among them.
        gluoncv_models()[name] = functools.partial(get_model, name, root=root)


def gluoncv_models() -> dict[str, Any]:
    """GluonCV's constructors of networks by name, its own dict. Raises InputError."""
    try:
        from gluoncv.model_zoo.model_zoo import _models
    except ImportError as error:  # usually a system library of OpenCV is missing
        raise InputError(f"GluonCV cannot be imported: {error}") from None
    models: dict[str, Any] = _models
    return models


def _folder(root: str) -> Path | None:
    """The folder of registered networks; None without a home folder, hence without networks."""
    home = os.environ.get("MXNET_HOME")
    try:
        return Path(home, "models") if home else Path(root).expanduser()
    except (RuntimeError, KeyError):  # a user unknown to the system; the latter on Python 3.9
        return None


def _entry_path(name: str, root: str) -> Path:
    return (_folder(root) or Path(root)) / f"{name}.json"


def _parameters_path(name: str, sha1: str, root: str) -> Path:
    return (_folder(root) or Path(root)) / f"{name}-{sha1[:8]}.params"


def _registered(root: str) -> list[str]:
    """The names of the registered bundles; skips other files in the folder."""
    names: list[str] = []
    folder = _folder(root)
    try:
        paths = sorted(folder.glob("*.json")) if folder else []
    except OSError:  # no permission to list the folder
        return names
    for path in paths:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(value, dict) and value.get("format") == FORMAT:
            names.append(path.stem)
    return names


def _entry(name: str, root: str) -> _Entry:
    if name not in _registered(root):
        known = ", ".join([NOTEBOOK_NAME, *_registered(root)])
        raise InputError(f"unknown model {name!r}; the models are {known}")
    path = _entry_path(name, root)
    return read(unwrap(read_json(path), FORMAT, (VERSION,), str(path)), _Entry, str(path))


def _architecture(entry: _Entry, name: str, root: str) -> Architecture:
    return from_json(entry.architecture, str(_entry_path(name, root)))


def _sha1(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()
