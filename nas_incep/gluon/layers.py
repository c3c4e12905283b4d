"""The notebook's building blocks as HybridBlocks, their mirror images, and the notebook's NIN."""

from ..engines.gluon.layers import (
    NIN,
    Inception,
    InceptionTranspose,
    PreActivatedResidual,
    Residual,
    vgg_block,
    vgg_block_transpose,
    vgg_stack,
    vgg_stack_transpose,
)

__all__ = [
    "NIN",
    "Inception",
    "InceptionTranspose",
    "PreActivatedResidual",
    "Residual",
    "vgg_block",
    "vgg_block_transpose",
    "vgg_stack",
    "vgg_stack_transpose",
]
