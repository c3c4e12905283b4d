"""Training and evaluation of one network, independent of any search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..._machine import FLOAT32
from ...datasets import Dataset, Images
from ...datasets.batches import (
    Normalization,
    draws,
    epoch_images,
    evaluation_batches,
    normalization,
    training_batches,
)
from ...recipe import Recipe, derive_seed
from ...records import EpochResult
from ..base import Diverged, Evaluation
from ..epochs import Epochs, Sums, check_finite, never
from ..starting_values import starting_values
from .baselines import array_shapes, parameters_by_place
from .forms import Form, make_form
from .resident import fits, resident_images
from .runtime import device_name, mx

nn: Any = mx.gluon.nn

# For bundles. During training, evaluation uses the training batch size, which fits in memory.
EVALUATION_BATCH = 256
# MXNet computes asynchronously. This many batches in its queue keep it busy; more would only delay
# the checks of progress.
MAX_QUEUE = 4


class _WithLoss(nn.HybridBlock):
    """A network with its loss and accuracy in one graph.

    Maps labels `(batch,)` and the network's inputs for that many images to the cross-entropy of
    each image and whether the answer is correct, each `(batch,)`, the sum of these losses and the
    number of correct answers, each `(1,)`. Images with label -1 are ignored.
    """

    def __init__(self, network: Any) -> None:
        super().__init__(prefix="")
        self.network = network

    def hybrid_forward(self, F: Any, labels: Any, *inputs: Any) -> Any:
        out = self.network(*inputs)
        real = F.BlockGrad(labels >= 0)
        loss = -F.pick(F.log_softmax(out), labels, axis=-1) * real
        right = F.BlockGrad(F.argmax(out, axis=1) == labels)
        return loss, right, F.BlockGrad(loss).sum(), right.sum()


def initialize(
    network: Any, initializer: str, seed: int, input_shape: Any, device: Any, spec: str = ""
) -> None:
    """Initializes every parameter on `device`; equal seeds give equal values.

    `input_shape` is `(channels, height, width)`, `spec` names a baseline.
    """
    network.initialize(init=mx.init.Zero(), ctx=device, force_reinit=True)
    # Gluon infers the shapes only at the first image.
    scores = network(mx.nd.zeros((1, *input_shape), ctx=device))
    scores.wait_to_read()
    named, shapes = parameters_by_place(network), array_shapes(network)
    rules = {place: _rule(parameter) for place, parameter in named.items()}
    classes = scores.shape[1]
    for place, value in starting_values(shapes, rules, initializer, seed, spec, classes):
        named[place].set_data(mx.nd.array(value))


def _rule(parameter: Any) -> str:
    """The initializer that a network asks for by itself, as MXNet writes it; or nothing."""
    init = parameter.init
    return init.dumps() if isinstance(init, mx.init.Initializer) else init or ""


def _optimizer(recipe: Recipe) -> tuple[str, dict[str, float]]:
    """The name and the arguments of MXNet's optimizer."""
    arguments = {"learning_rate": recipe.learning_rate, "wd": recipe.weight_decay}
    if recipe.optimizer in ("sgd", "nag"):
        arguments["momentum"] = recipe.momentum
    elif recipe.optimizer == "adadelta":
        arguments["rho"] = recipe.decay
    elif recipe.optimizer == "rmsprop":
        arguments["gamma1"] = recipe.decay
    return recipe.optimizer, arguments


class Training(Epochs):
    """One network in training, epoch by epoch.

    The seed, the number of the epoch, the parameters and the precision fully determine an epoch.
    `network` has the parameters after the last whole epoch.
    """

    def __init__(
        self,
        network: Any,
        dataset: Dataset,
        recipe: Recipe,
        seed: int,
        device: Any,
        precision: str = FLOAT32,
        spec: str = "",
    ) -> None:
        """`spec` names a baseline, whose parameters may be published ones."""
        self.dataset, self.recipe, self.seed, self.device = dataset, recipe, seed, device
        self.precision = precision
        self.network = network
        own_seed, shape = derive_seed(seed, "init"), dataset.info.image_shape
        initialize(network, recipe.initializer, own_seed, shape, device, spec)
        self.form = make_form(network, precision, device)
        self.trainer = mx.gluon.Trainer(self.form.training.collect_params(), *_optimizer(recipe))
        # One graph for training and one for evaluation, so that each has a single shape.
        self._train_graph = _hybridised(self.form.training)
        self._evaluation_graph = _hybridised(self.form.evaluation)
        self._normalize = normalization(dataset)
        # On a CPU, preparing the batches in numpy is faster.
        self.resident = device_name(device) != "cpu" and fits(dataset)

    def validate(self) -> Evaluation:
        return _evaluate(
            self._evaluation_graph,
            self.form,
            self.dataset.validation,
            self._normalize,
            self.device,
            self.recipe.batch_size,
        )

    def store(self) -> None:
        self.form.store()

    def train_epoch(self, should_stop: Callable[[int], Any] = never) -> Sums | None:
        recipe = self.recipe
        seed = derive_seed(self.seed, "epoch", self.epoch)
        mx.random.seed(seed)  # for the masks of dropout
        steps_per_epoch = self._steps_per_epoch()
        loss_sum, correct = _zero(self.device), _zero(self.device)
        waiting: list[Any] = []
        images = 0
        for step, arrays in enumerate(self._batches(seed), self.epoch * steps_per_epoch):
            rate = recipe.learning_rate_at(step, recipe.epochs * steps_per_epoch)
            self.trainer.set_learning_rate(rate)
            batch_loss, batch_correct = self.step(*arrays)
            loss_sum, correct = loss_sum + batch_loss, correct + batch_correct
            images += len(arrays[0])
            # Reading an old sum bounds the queue without emptying it, and shows divergence early.
            waiting.append(loss_sum)
            if len(waiting) > MAX_QUEUE:
                check_finite(waiting.pop(0).asscalar())
                if should_stop(images):
                    return None
        check_finite(loss_sum.asscalar())
        self._check_parameters()
        return float(loss_sum.asscalar()), int(correct.asscalar()), images

    def _batches(self, seed: int) -> Iterator[list[Any]]:
        """The arguments of `step` for each batch of one epoch."""
        recipe = self.recipe
        which = (self.dataset, recipe.batch_size, recipe.images_per_epoch, recipe.augment, seed)
        if self.resident:
            images = resident_images(self.dataset, self.device)
            yield from map(images.batch, draws(*which))
        else:
            for batch, labels in training_batches(*which):
                yield self.to_device(batch, labels)

    def to_device(self, batch: np.ndarray, labels: np.ndarray) -> list[Any]:
        """The arguments of `step` for uint8 images `(batch, channels, h, w)`, labels `(batch,)`."""
        return _arrays(batch, labels, self.form, self._normalize, self.device)

    def step(self, labels: Any, *inputs: Any) -> tuple[Any, Any]:
        """Trains on a batch; the sums of its losses and of its correct answers, each `(1,)`."""
        with mx.autograd.record():
            loss, _, batch_loss, batch_correct = self._train_graph(labels, *inputs)
        loss.backward()
        self.trainer.step(len(labels))
        return batch_loss, batch_correct

    def _steps_per_epoch(self) -> int:
        count = len(self.dataset.train.labels)
        batch_size = min(self.recipe.batch_size, count)
        return epoch_images(count, batch_size, self.recipe.images_per_epoch) // batch_size

    def _check_parameters(self) -> None:
        """Raises Diverged for a parameter that is not finite, which ReLU can hide from the loss."""
        arrays = [p.data(self.device) for p in self.form.training.collect_params().values()]
        # With hundreds of arrays at once, MXNet 1.9.1 writes past the operator's fixed-size table.
        for start in range(0, len(arrays), 50):
            part = arrays[start : start + 50]
            if not mx.nd.multi_all_finite(*part, num_arrays=len(part)).asscalar():
                raise Diverged("a parameter is not finite")


def train(
    network: Any,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    device: Any,
    on_epoch: Callable[[EpochResult], None] | None = None,
    precision: str = FLOAT32,
) -> list[EpochResult]:
    """Initializes and trains a network on an MXNet device; its learning curve.

    `on_epoch` is called after each epoch. Raises Diverged.
    """
    training = Training(network, dataset, recipe, seed, device, precision)
    curve = []
    for _ in range(recipe.epochs):
        point = training.run_epoch()
        assert point is not None  # nothing stops it
        curve.append(point)
        if on_epoch:
            on_epoch(curve[-1])
    return curve


def evaluate(network: Any, images: Images, normalize: Normalization, device: Any) -> Evaluation:
    """The accuracy and mean loss of an initialized network on all `images`."""
    form = make_form(network, FLOAT32, device)
    graph = _hybridised(form.evaluation)
    return _evaluate(graph, form, images, normalize, device, EVALUATION_BATCH)


def _evaluate(
    graph: Any,
    form: Form,
    images: Images,
    normalize: Normalization,
    device: Any,
    batch_size: int,
) -> Evaluation:
    started = time.perf_counter()
    loss_sum, parts = _zero(device), []
    count = len(images.labels)
    for batch, labels in evaluation_batches(images, min(batch_size, count)):
        _, right, batch_loss, _ = graph(*_arrays(batch, labels, form, normalize, device))
        # Copied, because the graph writes the next batch's answers to the same memory.
        parts.append(right.asnumpy())
        loss_sum = loss_sum + batch_loss
        loss_sum.wait_to_read()
    loss = float(loss_sum.asscalar()) / count
    right = np.concatenate(parts)[:count].astype(bool)
    return Evaluation(right, loss, time.perf_counter() - started)


def _arrays(
    batch: np.ndarray, labels: np.ndarray, form: Form, normalize: Normalization, device: Any
) -> list[Any]:
    """The labels, and the form's inputs for uint8 images, on the device."""
    # Normalization preserves the order of values, so max pooling may come first, on bytes.
    inputs = [normalize(part) for part in form.inputs(batch)]
    # Without another copy on the CPU.
    return [mx.nd.from_numpy(values).as_in_context(device) for values in (labels, *inputs)]


def _zero(device: Any) -> Any:
    return mx.nd.zeros((1,), ctx=device)


def _hybridised(network: Any) -> Any:
    graph = _WithLoss(network)
    graph.hybridize(static_alloc=True, static_shape=True)
    return graph
