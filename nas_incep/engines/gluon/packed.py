"""The form in which a network of an architecture is trained: the same function, arranged for speed.

What oneDNN (MXNet's library for CPUs) does fast decides the form; docs/speed.md has the figures.

- It computes on blocks of 16 channels. Every layer's channels are filled up to a multiple of 16
  (a narrow unit's in float32 to one of 8) with weights of zero. They stay zero: a
  filled-up channel is zero in every image, and so are the gradients of all weights that read or
  write it, whatever the optimiser.
- The branches of a unit are put side by side before batch normalisation and ReLU, which look at
  each channel alone: one wide operator for four narrow ones.
- Batch normalisation and ReLU are one operator, where its gradient is right.
- The first unit's 3x3 max pooling of the image itself needs no gradient, and oneDNN has no fast
  way for 3 channels, so the pooled image comes in from outside.
- With a precision of 16 bits the blocks compute in it; parameters, their updates, the head and the
  loss stay in float32. The image is filled up too then, or all that reads it would be computed in
  plain memory layout, with a batch normalisation six times slower.

Parameters are initialised, counted, saved and loaded in the form of `networks.Network` alone:
`load` and `store` carry them over and back, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._machine import BFLOAT16, FLOAT16, FLOAT32, has_avx512
from ...architecture import Architecture
from ...datasets.batches import max_pool_3x3
from .runtime import mx

nn: Any = mx.gluon.nn

# What MXNet's operators call a precision.
DTYPES = {BFLOAT16: np.dtype([("bfloat16", np.uint16)]), FLOAT16: np.dtype(np.float16)}


@dataclass(frozen=True)
class _Channels:
    """Where the channels of a network's tensor lie in the packed one's, and how many that has."""

    places: np.ndarray
    width: int


@dataclass(frozen=True)
class _Part:
    """Where a network's parameter lies in one of the packed network's: its rows and columns."""

    array: str
    parameter: str
    rows: np.ndarray
    columns: np.ndarray | None = None

    @property
    def index(self) -> tuple[Any, ...]:
        return (self.rows,) if self.columns is None else np.ix_(self.rows, self.columns)


def _padded(count: int, block: int) -> _Channels:
    return _Channels(np.arange(count), -(-count // block) * block)


def _side_by_side(branches: Sequence[_Channels]) -> _Channels:
    starts = np.cumsum([0, *(branch.width for branch in branches)])
    places = [start + branch.places for start, branch in zip(starts, branches)]
    return _Channels(np.concatenate(places), int(starts[-1]))


class _Layout:
    """The arrays of a packed network, and where each of the network's parameters lies in them.

    Channels are filled up to a multiple of `block`, or of `small_block` where that serves, the
    image's to one of `image_block`.
    """

    def __init__(
        self, architecture: Architecture, block: int, small_block: int, image_block: int
    ) -> None:
        self.normalised = architecture.batch_norm
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.parts: list[_Part] = []
        self.blocks: list[list[str]] = []  # the names of the units
        last = len(architecture.blocks) - 1
        maps = self.image = _padded(architecture.input_shape[0], image_block)
        for b, widths in enumerate(architecture.blocks):
            units = [f"b{b}u{u}" for u in range(widths.num_convs)]
            # Between two poolings alone: where blocks of 8 and of 16 meet at a normalisation, MXNet
            # is slow or fails.
            small = max(widths[1:]) <= small_block and len(units) == 1 and b < last
            for u, unit in enumerate(units):
                maps = self._unit(
                    unit,
                    f"features.{b}.{u}",
                    maps,
                    [_padded(width, small_block if small else block) for width in widths[1:]],
                )
            self.blocks.append(units)
        self.outputs = maps if architecture.same_shape else _padded(architecture.classes, block)
        self._head(architecture.same_shape, maps)

    def _unit(
        self, name: str, source: str, maps: _Channels, widths: Sequence[_Channels]
    ) -> _Channels:
        n1_1, n2_1, n2_3, n3_1, n3_5, n4_1 = widths
        for branch, inputs, outputs, kernel in (
            ("p1_conv_1", maps, n1_1, 1),
            ("p2_conv_1", maps, n2_1, 1),
            ("p2_conv_3", n2_1, n2_3, 3),
            ("p3_conv_1", maps, n3_1, 1),
            ("p3_conv_5", n3_1, n3_5, 5),
            ("p4_conv_1", maps, n4_1, 1),
        ):
            place = f"{source}.{branch}" + (".0" if self.normalised else "")
            self._convolution(
                f"{name}_{branch}", place, inputs, outputs, kernel, not self.normalised
            )
        out = {"p1_conv_1": n1_1, "p2_conv_3": n2_3, "p3_conv_5": n3_5, "p4_conv_1": n4_1}
        if self.normalised:
            self._norm(f"{name}_p2_norm", {f"{source}.p2_conv_1.1": n2_1})
            self._norm(f"{name}_p3_norm", {f"{source}.p3_conv_1.1": n3_1})
            self._norm(f"{name}_norm", {f"{source}.{key}.1": value for key, value in out.items()})
        return _side_by_side(list(out.values()))

    def _head(self, same_shape: bool, maps: _Channels) -> None:
        source, out = "output.0", self.outputs
        self._norm("head_norm1", {f"{source}.bn1": maps})
        self._convolution("head_conv1", f"{source}.conv1", maps, out, 3, True)
        self._norm("head_norm2", {f"{source}.bn2": out})
        self._convolution("head_conv2", f"{source}.conv2", out, out, 3, True)
        if not same_shape:
            self._convolution("head_conv3", f"{source}.conv3", maps, out, 1, True)

    def _convolution(
        self,
        name: str,
        source: str,
        inputs: _Channels,
        outputs: _Channels,
        kernel: int,
        bias: bool,
    ) -> None:
        self.shapes[f"{name}_weight"] = (outputs.width, inputs.width, kernel, kernel)
        self.parts.append(
            _Part(f"{name}_weight", f"{source}.weight", outputs.places, inputs.places)
        )
        if bias:
            self.shapes[f"{name}_bias"] = (outputs.width,)
            self.parts.append(_Part(f"{name}_bias", f"{source}.bias", outputs.places))

    def _norm(self, name: str, branches: dict[str, _Channels]) -> None:
        """One batch normalisation for those of several branches that lie side by side."""
        width = _side_by_side(list(branches.values())).width
        for kind in ("gamma", "beta", "running_mean", "running_var"):
            self.shapes[f"{name}_{kind}"] = (width,)
            start = 0
            for source, channels in branches.items():
                rows = start + channels.places
                self.parts.append(_Part(f"{name}_{kind}", f"{source}.{kind}", rows))
                start += channels.width


class PackedNetwork(nn.HybridBlock):
    """The packed form of an architecture's network.

    Images `(batch, channels, h, w)` and, `on_cpu`, the same after 3x3 max pooling, to class scores
    `(batch, classes)` in float32. With `like` it computes with the arrays of that one. Off the CPU
    nothing is filled up: other libraries like other forms.
    """

    def __init__(
        self,
        architecture: Architecture,
        precision: str = FLOAT32,
        on_cpu: bool = True,
        like: PackedNetwork | None = None,
    ) -> None:
        super().__init__(prefix="packed_", params=like.params if like else None)
        self.architecture, self.precision = architecture, precision
        self.on_cpu = on_cpu
        # BatchNormWithReLU is wrong, or fails, where its images or gradients lie in plain layout:
        # behind a cast, before the pooling of a map of 2x3 to 1x1, and perhaps where oneDNN knows
        # no blocks of 16.
        blocked = mx.runtime.Features().is_enabled("MKLDNN") and has_avx512()
        _, height, width = architecture.input_shape
        square = height == width
        self.fused = on_cpu and blocked and square
        self.fused_head = self.fused and precision == FLOAT32
        block = 16 if on_cpu else 1
        # Where blocks of 8 and of 16 meet, MXNet can fail unless BatchNormWithReLU is used.
        small_block = 8 if on_cpu and precision == FLOAT32 and square else block
        image_block = 1 if precision == FLOAT32 else block
        self.layout: _Layout = (
            like.layout if like else _Layout(architecture, block, small_block, image_block)
        )
        for name, shape in self.layout.shapes.items():
            statistic = name.endswith(("running_mean", "running_var"))
            array = self.params.get(
                name,
                shape=shape,
                init="zeros",
                grad_req="null" if statistic else "write",
                differentiable=not statistic,
            )
            setattr(self, name, array)

    def load(self, network: Any) -> None:
        """Takes over the parameters of an initialised network of the same architecture."""
        given = network._collect_params_with_prefix()
        packed = {name: np.zeros(shape, np.float32) for name, shape in self.layout.shapes.items()}
        for part in self.layout.parts:
            packed[part.array][part.index] = given[part.parameter].data().asnumpy()
        for name, values in packed.items():
            getattr(self, name).set_data(mx.nd.array(values))

    def store(self, network: Any) -> None:
        """Gives the network the parameters that this one has now."""
        taken = network._collect_params_with_prefix()
        packed = {name: getattr(self, name).data().asnumpy() for name in self.layout.shapes}
        for part in self.layout.parts:
            taken[part.parameter].set_data(mx.nd.array(packed[part.array][part.index]))

    def inputs(self, images: np.ndarray) -> list[np.ndarray]:
        """What this network takes of images `(batch, channels, h, w)`."""
        return [images, max_pool_3x3(images)] if self.on_cpu else [images]

    def hybrid_forward(self, F: Any, *images: Any, **arrays: Any) -> Any:
        x, *pooled = (self._filled_up(F, self._cast(F, image)) for image in images)
        first = pooled[0] if pooled else None
        for units in self.layout.blocks:
            for unit in units:
                x = self._unit(F, x, first, unit, arrays)
                first = None
            x = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
        if self.precision != FLOAT32:
            x = F.amp_cast(x, dtype=FLOAT32)
        return self._head(F, x, arrays)

    def _unit(self, F: Any, x: Any, pooled: Any, name: str, arrays: dict[str, Any]) -> Any:
        """As layers.Inception, `pooled` being its input after the pooling where that is known."""
        if pooled is None:
            pooled = F.Pooling(x, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="max")
        p1 = self._convolution(F, x, f"{name}_p1_conv_1", arrays)
        p2 = self._convolution(F, x, f"{name}_p2_conv_1", arrays)
        p2 = self._activation(F, p2, f"{name}_p2_norm", arrays, self.fused)
        p2 = self._convolution(F, p2, f"{name}_p2_conv_3", arrays)
        p3 = self._convolution(F, x, f"{name}_p3_conv_1", arrays)
        p3 = self._activation(F, p3, f"{name}_p3_norm", arrays, self.fused)
        p3 = self._convolution(F, p3, f"{name}_p3_conv_5", arrays)
        p4 = self._convolution(F, pooled, f"{name}_p4_conv_1", arrays)
        maps = F.concat(p1, p2, p3, p4, dim=1)
        return self._activation(F, maps, f"{name}_norm", arrays, self.fused)

    def _head(self, F: Any, x: Any, arrays: dict[str, Any]) -> Any:
        """As layers.PreActivatedResidual, global average pooling, flatten; in float32."""
        same_shape = self.architecture.same_shape
        stride = 1 if same_shape else 2
        out = self._activation(F, x, "head_norm1", arrays, self.fused_head)
        out = self._convolution(F, out, "head_conv1", arrays, stride, cast=False)
        out = self._activation(F, out, "head_norm2", arrays, self.fused_head)
        out = self._convolution(F, out, "head_conv2", arrays, cast=False)
        if not same_shape:
            x = self._convolution(F, x, "head_conv3", arrays, stride, cast=False)
        out = out + x
        if self.architecture.relu_output:
            out = _relu(F, out)
        scores = F.flatten(F.Pooling(out, global_pool=True, kernel=(1, 1), pool_type="avg"))
        return _take(F, scores, self.layout.outputs.places)

    def _convolution(
        self,
        F: Any,
        x: Any,
        name: str,
        arrays: dict[str, Any],
        stride: int = 1,
        cast: bool = True,
    ) -> Any:
        outputs, _, kernel, _ = self.layout.shapes[f"{name}_weight"]
        names = [f"{name}_weight", f"{name}_bias"]
        weights = [arrays[key] for key in names if key in arrays]
        if cast:
            weights = [self._cast(F, weight) for weight in weights]
        return F.Convolution(
            x,
            *weights,
            num_filter=outputs,
            kernel=(kernel, kernel),
            stride=(stride, stride),
            pad=(kernel // 2, kernel // 2),
            no_bias=len(weights) == 1,
        )

    def _activation(self, F: Any, x: Any, name: str, arrays: dict[str, Any], fused: bool) -> Any:
        """Batch normalisation, if the network has one there, and ReLU."""
        if f"{name}_gamma" not in arrays:
            return _relu(F, x)
        kinds = ("gamma", "beta", "running_mean", "running_var")
        values = [arrays[f"{name}_{kind}"] for kind in kinds]
        if fused:
            return F.contrib.BatchNormWithReLU(x, *values, **_BATCH_NORM)
        return _relu(F, F.BatchNorm(x, *values, **_BATCH_NORM))

    def _filled_up(self, F: Any, image: Any) -> Any:
        """An image `(batch, channels, h, w)` with as many channels as the layout has for it."""
        channels = len(self.layout.image.places)
        missing = self.layout.image.width - channels
        if not missing:
            return image
        zeros = F.zeros_like(image)
        parts = [image, *[zeros] * (missing // channels)]
        if missing % channels:
            parts.append(F.slice_axis(zeros, axis=1, begin=0, end=missing % channels))
        return F.concat(*parts, dim=1)

    def _cast(self, F: Any, x: Any) -> Any:
        return x if self.precision == FLOAT32 else F.amp_cast(x, dtype=DTYPES[self.precision])


# What nn.BatchNorm, of which the network is made, is by default.
_BATCH_NORM = {"eps": 1e-5, "momentum": 0.9, "fix_gamma": False, "use_global_stats": False}


def _relu(F: Any, x: Any) -> Any:
    # F.relu knows no blocked layout.
    return F.Activation(x, act_type="relu")


def _take(F: Any, scores: Any, places: np.ndarray) -> Any:
    """Those columns of `(batch, width)`, which lie in a few runs."""
    ends = np.flatnonzero(np.diff(places) != 1) + 1
    runs = [(run[0], run[-1] + 1) for run in np.split(places, ends)]
    slices = [F.slice_axis(scores, axis=1, begin=int(a), end=int(b)) for a, b in runs]
    return slices[0] if len(slices) == 1 else F.concat(*slices, dim=1)
