"""Whole networks: the HybridBlocks of an Architecture, and what they cost."""

from __future__ import annotations

import json
import math
from typing import Any

from ...architecture import Architecture
from .layers import PreActivatedResidual, vgg_stack, vgg_stack_transpose
from .runtime import mx

nn: Any = mx.gluon.nn


class Network(nn.HybridBlock):
    """The classifier of an architecture: images `(batch, channels, h, w)` to `(batch, classes)`.

    `features` is the stack of Inception blocks; `output` is the NIN head of residual unit, global
    average pooling and flatten. GluonCV's networks use the same two names. Its parameters and
    their order are those of `stages.parameters_of`.
    """

    def __init__(self, architecture: Architecture, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.architecture = architecture
        with self.name_scope():
            self.features = vgg_stack(architecture.blocks, architecture.batch_norm)
            self.output = nn.HybridSequential()
            self.output.add(
                PreActivatedResidual(
                    architecture.classes, architecture.same_shape, architecture.relu_output
                ),
                nn.GlobalAvgPool2D(),
                nn.Flatten(),
            )

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        return self.output(self.features(x))


class Autoencoder(nn.HybridBlock):
    """An architecture's stack as the encoder, its mirror of transposed blocks as the decoder.

    Maps `(batch, channels, h, w)` to the same shape. The decoder's maps are larger than the image,
    since a transposed block makes 2h + 1 rows of h, and are cropped to its size.
    """

    def __init__(self, architecture: Architecture, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        blocks = architecture.blocks
        with self.name_scope():
            self.encoder = vgg_stack(blocks, architecture.batch_norm)
            self.decoder = vgg_stack_transpose(reversed(blocks), architecture.batch_norm)
            self.to_image = nn.Conv2D(architecture.input_shape[0], kernel_size=1)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        out = F.slice_like(self.decoder(self.encoder(x)), x, axes=(2, 3))
        return self.to_image(out)


def build_network(architecture: Architecture) -> Network:
    """Build the network of an architecture. Its parameters are not yet initialized."""
    return Network(architecture, prefix="nin_")


def build_autoencoder(architecture: Architecture) -> Autoencoder:
    """Build the autoencoder of an architecture. Its parameters are not yet initialized."""
    return Autoencoder(architecture, prefix="autoencoder_")


def count_parameters(network: Any) -> int:
    """Count the trainable parameters of an initialized network, element by element.

    BatchNorm's running statistics are not trainable.
    """
    trainable = (p for p in network.collect_params().values() if p.grad_req != "null")
    return sum(int(p.data().size) for p in trainable)


def count_macs(network: Any, input_shape: tuple[int, ...]) -> int:
    """Count the multiply-accumulates for one image of `input_shape` `(channels, height, width)`.

    They are read from the network's graph: each use of a weight by Convolution, Deconvolution or
    FullyConnected counts, and nothing else does.
    """
    internals = network(mx.sym.Variable("data")).get_internals()
    _, out_shapes, _ = internals.infer_shape(data=(1, *input_shape))
    shapes = dict(zip(internals.list_outputs(), out_shapes))
    nodes = json.loads(internals.tojson())["nodes"]
    macs = 0
    for node in nodes:
        if node["op"] not in ("Convolution", "Deconvolution", "FullyConnected"):
            continue
        source, weight = (nodes[index]["name"] for index, *_ in node["inputs"][:2])
        # A weight is used once per output pixel; that of a transposed convolution, per input pixel.
        maps = shapes[f"{node['name']}_output"]
        if node["op"] == "Deconvolution":
            maps = shapes[source if source in shapes else f"{source}_output"]
        macs += math.prod(maps[2:]) * math.prod(shapes[weight])
    return macs
