"""Loading and training as a user of Gluon would write them, none of it ours: contestants."""

from __future__ import annotations

import sys
from typing import Any

from harness import Blocks
from networks import BATCH, synthetic
from ours import DECAY, RATE
from plain_gluon import initialized, mx  # it makes MXNet importable, so comes first

from mxnet import autograd, gluon  # isort: skip
from mxnet.gluon.data.vision import transforms  # isort: skip

# GluonCV refuses to be imported beside today's PyTorch.
sys.modules["torch"] = None  # type: ignore[assignment]
from gluoncv.data import transforms as gcv_transforms  # noqa: E402

del sys.modules["torch"]

SCRIPT_WORKERS = 4  # the default of GluonCV's script
OPTIMIZER = {"learning_rate": RATE, "wd": DECAY}


def loader(batches: int, workers: int) -> Any:
    data = synthetic(batches * BATCH)
    pixels = mx.nd.array(data.train.images.transpose(0, 2, 3, 1), dtype="uint8")
    transform = transforms.Compose(
        [
            gcv_transforms.RandomCrop(32, pad=4),
            transforms.RandomFlipLeftRight(),
            transforms.ToTensor(),
            transforms.Normalize(data.mean, data.std),
        ]
    )
    images = gluon.data.ArrayDataset(pixels, data.train.labels).transform_first(transform)
    return gluon.data.DataLoader(
        images, BATCH, shuffle=True, last_batch="discard", num_workers=workers
    )


def loading(batches: int, workers: int) -> Blocks:
    """`go`: the batches of an epoch, and nothing done with them."""
    data = loader(batches, workers)

    def go() -> int:
        for images, _ in data:
            images.wait_to_read()
        return batches * BATCH

    return {"go": go}


def loop(network: str, batches: int, workers: int, hybridize: bool) -> Blocks:
    """`go`: an epoch as Gluon's tutorials train it."""
    data, net = loader(batches, workers), initialized(network)
    if hybridize:
        net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "adam", OPTIMIZER)
    loss_fn, metric = gluon.loss.SoftmaxCrossEntropyLoss(), mx.metric.Accuracy()

    def go() -> int:
        metric.reset()
        total = 0.0
        for batch in data:
            # Another process's batch lies in shared memory, which is another context.
            images, labels = (part.as_in_context(mx.cpu()) for part in batch)
            with autograd.record():
                out = net(images)
                loss = loss_fn(out, labels)
            loss.backward()
            trainer.step(len(labels))
            metric.update([labels], [out])
            total += loss.mean().asscalar()
        mx.nd.waitall()
        return batches * BATCH

    return {"go": go}


def script(network: str, batches: int) -> Blocks:
    """`go`: an epoch as GluonCV's script for CIFAR-10 trains it, hybridized, but by Adam."""
    data, net = loader(batches, SCRIPT_WORKERS), initialized(network)
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), "adam", OPTIMIZER)
    loss_fn, metric, devices = (
        gluon.loss.SoftmaxCrossEntropyLoss(),
        mx.metric.Accuracy(),
        [mx.cpu()],
    )

    def go() -> int:
        metric.reset()
        total = 0.0
        for batch in data:
            images = gluon.utils.split_and_load(batch[0], ctx_list=devices, batch_axis=0)
            labels = gluon.utils.split_and_load(batch[1], ctx_list=devices, batch_axis=0)
            with autograd.record():
                outs = [net(x) for x in images]
                losses = [loss_fn(out, y) for out, y in zip(outs, labels)]
            for loss in losses:
                loss.backward()
            trainer.step(BATCH)
            total += sum(loss.sum().asscalar() for loss in losses)
            metric.update(labels, outs)
            metric.get()
        mx.nd.waitall()
        return batches * BATCH

    return {"go": go}
