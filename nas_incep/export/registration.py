"""Registering a bundle with GluonCV."""

from __future__ import annotations

from pathlib import Path

from .bundle import Bundle


def register(bundle: Bundle, name: str) -> Path:
    """Copies a bundle's network into the model zoo's folder under a name chosen by the user.

    After `import nas_incep.gluon`, `gluoncv.model_zoo.get_model` knows it. Returns the path of its
    parameters. Raises InputError if the name is taken or invalid.
    """
    from ..engines.gluon import zoo

    said = bundle.manifest.to_json()
    about = {key: said[key] for key in ("preprocessing", "classes", "accuracy")}
    return zoo.register(bundle.architecture, bundle.weights_path, about, name)
