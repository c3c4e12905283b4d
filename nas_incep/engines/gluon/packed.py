"""The packed form of a network: the same function, arranged for speed.

The form suits oneDNN, MXNet's library for CPUs; docs/speed.md has the measurements.

- oneDNN computes on blocks of 16 channels. Every layer's channels are padded to a multiple of 16
  (32 for AMX, 8 in a narrow unit in float32), and the padding has zero weights. It stays
  zero: a padded channel is zero in every image, and so are the gradients of all weights that read
  or write it, whatever the optimizer.
- The branches of a unit are concatenated before batch normalization and ReLU, which treat each
  channel separately: one wide operator replaces four narrow ones.
- Batch normalization and ReLU are one operator wherever its gradient is correct.
- The 3x3 max pooling of the image in the first unit needs no gradient, and oneDNN is slow on 3
  channels, so the pooled image is a separate input.
- In a 16-bit precision only the blocks are computed in it; the parameters, their updates, the head
  and the loss stay in float32. The image is padded too: otherwise every layer that reads it would
  work in plain memory layout, where batch normalization is six times slower.

Parameters are initialized, counted, saved and loaded only in the form of `networks.Network`;
`load` and `store` copy them exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._machine import BFLOAT16, FLOAT16, FLOAT32, has_avx512
from ...architecture import Architecture
from ...datasets.batches import max_pool_3x3
from ...stages import NORM_KINDS, STATISTIC_KINDS
from .amx import BLOCK as AMX_BLOCK
from .amx import fails_pointwise, uses_amx
from .packed_layout import Layout
from .runtime import mx

nn: Any = mx.gluon.nn

# The precisions as MXNet's operators take them.
DTYPES = {BFLOAT16: np.dtype([("bfloat16", np.uint16)]), FLOAT16: np.dtype(np.float16)}


class PackedNetwork(nn.HybridBlock):
    """The packed form of an architecture's network.

    Maps what `inputs` returns for images `(batch, channels, h, w)` to class scores
    `(batch, classes)` in float32. `precision` is that of the blocks. With `like`, it shares the
    arrays of another packed network of the same architecture. Unless `on_cpu`, there is no padding
    and no pooled image.
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
        # BatchNormWithReLU is wrong, or fails, where its images or gradients are in plain layout:
        # after a cast, before a pooling from 2x3 to 1x1, and perhaps where oneDNN has no blocks of
        # 16 channels.
        blocked = mx.runtime.Features().is_enabled("MKLDNN") and has_avx512()
        _, height, width = architecture.input_shape
        square = height == width
        self.fused = on_cpu and blocked and square
        self.fused_head = self.fused and precision == FLOAT32
        self.by_amx = on_cpu and precision == BFLOAT16 and uses_amx()
        block = (AMX_BLOCK if self.by_amx else 16) if on_cpu else 1
        # Where blocks of 8 and of 16 meet, MXNet can fail unless BatchNormWithReLU is used.
        small_block = 8 if on_cpu and precision == FLOAT32 and square else block
        image_block = 1 if precision == FLOAT32 else block
        self.layout: Layout = (
            like.layout if like else Layout(architecture, block, small_block, image_block)
        )
        for name, shape in self.layout.shapes.items():
            statistic = name.endswith(STATISTIC_KINDS)
            array = self.params.get(
                name,
                shape=shape,
                init="zeros",
                grad_req="null" if statistic else "write",
                differentiable=not statistic,
            )
            setattr(self, name, array)

    def load(self, network: Any) -> None:
        """Copies the parameters of an initialized `Network` of the same architecture."""
        given = network._collect_params_with_prefix()
        packed = {name: np.zeros(shape, np.float32) for name, shape in self.layout.shapes.items()}
        for part in self.layout.parts:
            packed[part.array][part.index] = given[part.parameter].data().asnumpy()
        for name, values in packed.items():
            getattr(self, name).set_data(mx.nd.array(values))

    def store(self, network: Any) -> None:
        """Copies the parameters back to an initialized `Network` of the same architecture."""
        taken = network._collect_params_with_prefix()
        packed = {name: getattr(self, name).data().asnumpy() for name in self.layout.shapes}
        for part in self.layout.parts:
            taken[part.parameter].set_data(mx.nd.array(packed[part.array][part.index]))

    def inputs(self, images: np.ndarray) -> list[np.ndarray]:
        """The inputs of this network for images `(batch, channels, h, w)`.

        They are the images and, on the CPU, the same after 3x3 max pooling.
        """
        return [images, max_pool_3x3(images)] if self.on_cpu else [images]

    def hybrid_forward(self, F: Any, *images: Any, **arrays: Any) -> Any:
        x, *pooled = (self._pad_image(F, self._cast(F, image)) for image in images)
        first = pooled[0] if pooled else None
        _, height, width = self.architecture.input_shape
        for number, units in enumerate(self.layout.blocks):
            widen = self.by_amx and fails_pointwise(height >> number, width >> number)
            for unit in units:
                x = self._unit(F, x, first, unit, arrays, widen)
                first = None
            x = F.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
        if self.precision != FLOAT32:
            x = F.amp_cast(x, dtype=FLOAT32)
        return self._head(F, x, arrays)

    def _unit(
        self, F: Any, x: Any, pooled: Any, name: str, arrays: dict[str, Any], widen: bool
    ) -> Any:
        """As layers.Inception; `pooled` is the input after pooling, or None if not yet pooled.

        With `widen` 1x1 convolutions are computed as 3x3, which are zero around the center.
        """
        if pooled is None:
            pooled = F.Pooling(x, kernel=(3, 3), stride=(1, 1), pad=(1, 1), pool_type="max")
        p1 = self._convolution(F, x, f"{name}_p1_conv_1", arrays, widen=widen)
        p2 = self._convolution(F, x, f"{name}_p2_conv_1", arrays, widen=widen)
        p2 = self._activation(F, p2, f"{name}_p2_norm", arrays, self.fused)
        p2 = self._convolution(F, p2, f"{name}_p2_conv_3", arrays)
        p3 = self._convolution(F, x, f"{name}_p3_conv_1", arrays, widen=widen)
        p3 = self._activation(F, p3, f"{name}_p3_norm", arrays, self.fused)
        p3 = self._convolution(F, p3, f"{name}_p3_conv_5", arrays)
        p4 = self._convolution(F, pooled, f"{name}_p4_conv_1", arrays, widen=widen)
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
        widen: bool = False,
    ) -> Any:
        outputs, _, kernel, _ = self.layout.shapes[f"{name}_weight"]
        names = [f"{name}_weight", f"{name}_bias"]
        weights = [arrays[key] for key in names if key in arrays]
        if widen:
            edges = (0, 0, 0, 0, 1, 1, 1, 1)
            weights[0] = F.pad(weights[0], mode="constant", constant_value=0, pad_width=edges)
            kernel = 3
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
        """Batch normalization, if the network has it, and ReLU."""
        if f"{name}_gamma" not in arrays:
            return _relu(F, x)
        values = [arrays[f"{name}_{kind}"] for kind in NORM_KINDS]
        if fused:
            return F.contrib.BatchNormWithReLU(x, *values, **_BATCH_NORM)
        return _relu(F, F.BatchNorm(x, *values, **_BATCH_NORM))

    def _pad_image(self, F: Any, image: Any) -> Any:
        """Images `(batch, channels, h, w)` with zero channels up to the layout's width."""
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


# The defaults of nn.BatchNorm, which the network is made of.
_BATCH_NORM = {"eps": 1e-5, "momentum": 0.9, "fix_gamma": False, "use_global_stats": False}


def _relu(F: Any, x: Any) -> Any:
    # F.relu does not work on the blocked layout.
    return F.Activation(x, act_type="relu")


def _take(F: Any, scores: Any, places: np.ndarray) -> Any:
    """The columns of `(batch, width)` at `places`, which form a few contiguous runs."""
    ends = np.flatnonzero(np.diff(places) != 1) + 1
    runs = [(run[0], run[-1] + 1) for run in np.split(places, ends)]
    slices = [F.slice_axis(scores, axis=1, begin=int(a), end=int(b)) for a, b in runs]
    return slices[0] if len(slices) == 1 else F.concat(*slices, dim=1)
