"""Baselines: networks of the model zoos, adapted to a data set's images and classes."""

from __future__ import annotations

import difflib
from typing import Any

from ...errors import InputError
from ..specs import INCEPTION3, INCEPTION3_STOCK, parse_baseline
from .runtime import mx

nn: Any = mx.gluon.nn


class Resized(nn.HybridBlock):
    """A network behind a bilinear resize of `(batch, c, h, w)` to `(batch, c, size, size)`."""

    def __init__(self, network: Any, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        with self.name_scope():
            self.network = network

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        return self.network(F.contrib.BilinearResize2D(x, height=self.size, width=self.size))


def find_baseline(spec: str) -> tuple[str, int | None]:
    """As `parse_baseline`; also raises InputError if the zoos have no network of that name."""
    name, size = parse_baseline(spec)
    if name != INCEPTION3 and name not in _zoo():
        close = difflib.get_close_matches(name, _zoo(), n=5) or ["cifar_resnet20_v1", "resnet18_v1"]
        raise InputError(
            f"baseline {spec}: the model zoo has no {name!r}; perhaps {', '.join(close)}"
        )
    return name, size


def build_baseline(spec: str, classes: int, input_shape: tuple[int, int, int]) -> Any:
    """The network of a baseline, initialized and tested on one image.

    `input_shape` is `(channels, height, width)`. Raises InputError if the zoo's network does not
    fit the images.
    """
    name, size = find_baseline(spec)
    try:
        network = stock_network(name, classes, size)
        if size:
            network = Resized(network, size, prefix="resized_")
        network.initialize(init=mx.init.Xavier())
        out = network(mx.nd.zeros((1, *input_shape)))
        out.wait_to_read()
    except InputError:
        raise
    except Exception as error:  # the zoo's constructors raise various errors
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise InputError(
            f"baseline {spec} does not fit images of {'x'.join(map(str, input_shape))}: {reason}"
        ) from None
    if out.shape != (1, classes):
        raise InputError(f"baseline {spec} is not a classifier: its output has shape {out.shape}")
    return network


def stock_network(name: str, classes: int, size: int | None) -> Any:
    """The zoo's network for images of its own size, as `find_baseline` names it."""
    if name == INCEPTION3:
        return _inception3(classes, size or INCEPTION3_STOCK)
    return _zoo()[name](classes=classes, pretrained=False)


def _inception3(classes: int, size: int) -> Any:
    """The zoo's Inception3; at sizes other than the stock one, its last pooling is global."""
    network = mx.gluon.model_zoo.vision.inception_v3(classes=classes)
    if size != INCEPTION3_STOCK:
        features = nn.HybridSequential(prefix="")
        for layer in network.features:
            features.add(nn.GlobalAvgPool2D() if isinstance(layer, nn.AvgPool2D) else layer)
        network.features = features
    return network


def _zoo() -> dict[str, Any]:
    """GluonCV's networks by name; they include the classifiers of MXNet's own zoo."""
    from .zoo import gluoncv_models

    return gluoncv_models()
