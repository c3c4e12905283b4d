"""Making a bundle known to GluonCV."""

from __future__ import annotations

from pathlib import Path

from .bundle import Bundle


def register(bundle: Bundle, name: str) -> Path:
    """Copies a bundle's network into the model zoo's folder under a name of the user's.

    `gluoncv.model_zoo.get_model` then knows it, once `nas_incep.gluon` is imported. Returns the
    path of its parameters. Raises InputError for a name that is taken or cannot be one.
    """
    from ..engines.gluon import zoo

    said = bundle.manifest.to_json()
    about = {key: said[key] for key in ("preprocessing", "classes", "accuracy")}
    return zoo.register(bundle.architecture, bundle.weights_path, about, name)
