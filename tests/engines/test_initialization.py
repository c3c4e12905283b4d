"""How activations and gradients spread at the start, on scikit-learn's digits."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run_cli
from helpers.engines import ENGINES, TORCH
from rich.console import Console

from nas_incep import datasets as data
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets.batches import normalization
from nas_incep.engines import initialization, initialization_picture, load_engine
from nas_incep.engines.gluon.networks import build_network
from nas_incep.engines.gluon.runtime import mx
from nas_incep.engines.gluon.training import initialize
from nas_incep.engines.initialization import LayerSpread, Spread, measure_all, measure_spread
from nas_incep.errors import InputError
from nas_incep.recipe import INITIALIZERS

# Matplotlib 3.9, the last for Python 3.9, calls pyparsing by names that newer pyparsings deprecate.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:matplotlib", "ignore::DeprecationWarning:pyparsing"
)

GLUON = load_engine("gluon")
BLOCK = Block(2, 12, 12, 12, 12, 12, 12)
ARCHITECTURE = Architecture((BLOCK, BLOCK), input_shape=(1, 8, 8))
UNIT = ["p1_conv_1", "p2_conv_1", "p2_conv_3", "p3_conv_1", "p3_conv_5", "p4_conv_1"]
LAYERS = [
    *(f"features.{block}.{unit}.{name}" for block in (0, 1) for unit in (0, 1) for name in UNIT),
    "output.0.conv1",
    "output.0.conv2",
    "output.0.conv3",
]


@pytest.fixture(scope="module")
def batch() -> tuple[np.ndarray, np.ndarray]:
    digits = data.load("digits")
    return normalization(digits)(digits.train.images[:64]), digits.train.labels[:64]


@pytest.fixture(scope="module")
def spreads(batch: tuple[np.ndarray, np.ndarray]) -> list[Spread]:
    return measure_all(GLUON, ARCHITECTURE, *batch, 0, "cpu")


def by_kind(spreads: list[Spread]) -> dict[tuple[str, bool], Spread]:
    return {(spread.initializer, spread.batch_norm): spread for spread in spreads}


def fake_spread(layers: list[str], value: float = 1.0) -> Spread:
    found = tuple(LayerSpread(name, True, value, 0.5, value) for name in layers)
    return Spread("msra", False, 2.3, found)


# Measuring.


def test_every_initializer_is_measured_without_and_with_batch_norm(spreads: list[Spread]) -> None:
    assert [(spread.initializer, spread.batch_norm) for spread in spreads] == [
        (name, batch_norm) for name in INITIALIZERS for batch_norm in (False, True)
    ]
    # Batch norm changes no layer's name, so that the columns of a table belong together.
    for spread in spreads:
        assert [layer.layer for layer in spread.layers] == LAYERS
        assert [layer.relu for layer in spread.layers] == [True] * 24 + [False] * 3


def test_the_numbers_are_those_of_the_network(batch: tuple[np.ndarray, np.ndarray]) -> None:
    # One unit, its layers called by hand, and the loss in numpy.
    architecture = Architecture((Block(1, 3, 4, 5, 3, 4, 5),), input_shape=(1, 8, 8))
    spread = measure_spread(GLUON, architecture, *batch, "xavier", 7, "cpu")
    network = build_network(architecture)
    initialize(network, "xavier", 7, architecture.input_shape, mx.cpu())
    unit, images = network.features[0][0], mx.nd.array(batch[0])
    found = {layer.layer: layer for layer in spread.layers}
    for name, out in (
        ("features.0.0.p1_conv_1", unit.p1_conv_1(images)),
        ("features.0.0.p2_conv_3", unit.p2_conv_3(unit.p2_conv_1(images))),
    ):
        out = out.asnumpy()
        assert out.min() == 0  # after ReLU
        assert found[name].activation_std == pytest.approx(out.std(), rel=1e-4)
        assert found[name].zeros == pytest.approx((out == 0).mean())
    with mx.autograd.record():
        scores = network(images)
        probabilities = mx.nd.softmax(scores).pick(mx.nd.array(batch[1]))
        loss = -mx.nd.log(probabilities).mean()
    loss.backward()
    assert spread.loss == pytest.approx(loss.asscalar(), rel=1e-5)
    for name, layer in (
        ("features.0.0.p3_conv_5", unit.p3_conv_5),
        ("output.0.conv2", network.output[0].conv2),
    ):
        gradient = layer.weight.grad().asnumpy()
        assert found[name].gradient_std == pytest.approx(gradient.std(), rel=1e-3)


def test_equal_seeds_give_equal_spreads_and_others_do_not(
    batch: tuple[np.ndarray, np.ndarray], spreads: list[Spread]
) -> None:
    assert measure_spread(GLUON, ARCHITECTURE, *batch, "msra", 0, "cpu") == spreads[0]
    assert measure_spread(GLUON, ARCHITECTURE, *batch, "msra", 1, "cpu") != spreads[0]


def test_msra_keeps_what_normal_loses(spreads: list[Spread]) -> None:
    # The notebook's point: deviation sqrt(2 / n) suits ReLU, MXNet's own 0.01 does not.
    kinds = by_kind(spreads)

    def last_unit(initializer: str, batch_norm: bool) -> list[LayerSpread]:
        return list(kinds[initializer, batch_norm].layers[18:24])

    assert min(layer.activation_std for layer in last_unit("msra", False)) > 0.05
    assert max(layer.activation_std for layer in last_unit("msra", False)) < 20
    assert max(layer.activation_std for layer in last_unit("normal", False)) < 1e-4
    assert min(layer.gradient_std for layer in last_unit("msra", False)) > 1e-3
    assert max(layer.gradient_std for layer in last_unit("normal", False)) < 1e-4
    # Xavier takes activations for linear: ReLU's halving adds up.
    means = {
        name: np.mean([layer.activation_std for layer in last_unit(name, False)])
        for name in ("msra", "xavier")
    }
    assert means["xavier"] < means["msra"]


def test_batch_norm_makes_the_initializer_matter_less(spreads: list[Spread]) -> None:
    # ReLU of a normal variable has deviation sqrt((1 - 1 / pi) / 2) = 0.58.
    for (_, batch_norm), spread in by_kind(spreads).items():
        if batch_norm:
            for layer in spread.layers[6:24]:
                assert 0.4 < layer.activation_std < 0.8, layer


def test_a_network_that_says_nothing_has_the_loss_of_guessing(spreads: list[Spread]) -> None:
    assert by_kind(spreads)["normal", False].loss == pytest.approx(math.log(10), abs=0.01)


def test_the_architectures_own_batch_norm_does_not_matter(
    batch: tuple[np.ndarray, np.ndarray], spreads: list[Spread]
) -> None:
    other = dataclasses.replace(ARCHITECTURE, batch_norm=True)
    assert measure_all(GLUON, other, *batch, 0, "cpu") == spreads


def test_small_gradients_do_not_vanish_in_the_measurement() -> None:
    # Squares of 1e-30 are no float32.
    values = np.float32([1e-30, -1e-30])
    assert initialization.deviation(values) == pytest.approx(1e-30, rel=1e-4, abs=0)


def test_unfitting_input_is_refused(batch: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = batch
    for changed, expected in (
        ((images, labels, "he"), "unknown initializer 'he'; the initializers are msra, xavier"),
        ((images[:, :, :7], labels, "msra"), "images of shape (64, 1, 7, 8) and labels of shape"),
        ((images, labels[:-1], "msra"), "expected are (n, 1, 8, 8) and (n,)"),
        ((images, labels + 1, "msra"), "labels from 0 to 9"),
        ((images, labels - 1, "msra"), "labels from 0 to 9"),
        ((images[:0], labels[:0], "msra"), "at least one image"),
    ):
        with pytest.raises(InputError) as error:
            measure_spread(GLUON, ARCHITECTURE, *changed, 0, "cpu")
        assert expected in str(error.value)


@pytest.mark.parametrize("name", [TORCH])
def test_the_engines_measure_the_same(
    name: str, batch: tuple[np.ndarray, np.ndarray], spreads: list[Spread]
) -> None:
    theirs = measure_all(load_engine(name), ARCHITECTURE, *batch, 0, "cpu")
    for found, expected in zip(theirs, spreads):
        assert (found.initializer, found.batch_norm) == (expected.initializer, expected.batch_norm)
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert [layer.layer for layer in found.layers] == LAYERS
        # Behind batch normalization gradients are sums that cancel: in float32 the first layers'
        # were up to 6 % (MXNet) and 1 % (PyTorch) from those in float64.
        tolerance = 0.1 if found.batch_norm else 1e-5
        for one, other in zip(found.layers, expected.layers):
            assert one.relu == other.relu
            assert one.activation_std == pytest.approx(other.activation_std, rel=1e-4)
            assert one.zeros == pytest.approx(other.zeros, abs=1e-3)
            assert one.gradient_std == pytest.approx(other.gradient_std, rel=tolerance)


@pytest.mark.parametrize("name", ENGINES)
def test_the_command_takes_either_engine(name: str) -> None:
    done = run_cli("probe", "notebook", "--engine", name, "--device", "cpu", "--images", 2)
    assert done.returncode == 0, done.stderr
    assert "features.0.0.p1_conv_1" in done.stdout


# The three forms.


def test_json_holds_every_number(spreads: list[Spread]) -> None:
    value = json.loads(json.dumps(initialization.to_json(spreads), allow_nan=False))
    assert (value["format"], value["version"]) == ("nas-incep-initialisation", 1)
    found = [
        Spread(**{**spread, "layers": tuple(LayerSpread(**layer) for layer in spread["layers"])})
        for spread in value["spreads"]
    ]
    assert found == spreads


def test_what_is_not_finite_is_null_in_json() -> None:
    broken = dataclasses.replace(fake_spread(["output.0.conv1"], math.inf), loss=math.nan)
    value = initialization.to_json([broken])["spreads"][0]
    assert value["loss"] is None
    assert value["layers"][0]["activation_std"] is None
    assert value["layers"][0]["zeros"] == 0.5


def test_the_table_has_a_row_for_each_layer_and_two_columns_for_each_spread(
    spreads: list[Spread],
) -> None:
    table = initialization.to_table(spreads)
    assert len(table.columns) == 1 + 2 * len(spreads)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert [name for name in rows if name in LAYERS] == LAYERS
    row = rows["features.1.0.p2_conv_3"]
    expected = [spread.layers[LAYERS.index("features.1.0.p2_conv_3")] for spread in spreads]
    values = [value for layer in expected for value in (layer.activation_std, layer.gradient_std)]
    assert [float(text) for text in row] == pytest.approx(values, rel=0.06)
    assert [float(text) for text in rows["loss"]] == pytest.approx(
        [spread.loss for spread in spreads], rel=0.06
    )
    for word in ("MSRA", "Xavier", "Normal", "no BN", "act", "grad"):
        assert word in capture.get()


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, "0"),
        (1, "1"),
        (0.914, "0.91"),
        (0.00123, "0.0012"),
        (1.26e-5, "1.3e-5"),
        (3.4e-18, "3.4e-18"),
        (123.4, "123"),
        (45678, "4.6e4"),
        (math.nan, "nan"),
    ],
)
def test_short_numbers(value: float, text: str) -> None:
    assert initialization._short(value) == text


@pytest.mark.parametrize(
    "suffix, start", [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_pictures_are_of_the_kind_their_name_says(
    spreads: list[Spread], tmp_path: Path, suffix: str, start: bytes
) -> None:
    path = tmp_path / "new" / f"spread{suffix}"
    initialization_picture.draw(spreads, path)
    assert path.read_bytes().startswith(start)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing left beside it


@pytest.mark.parametrize("name", ["spread.jpg", "spread", ".png"])
def test_other_pictures_are_refused(spreads: list[Spread], tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        initialization_picture.draw(spreads, tmp_path / name)
    assert str(error.value) == (
        f"{tmp_path / name}: a picture's name ends in one of .png, .svg, .pdf"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("units", [(1,), (3, 3), (1, 2, 3, 2, 1), (64, 1, 1, 1, 1)])
def test_labels_of_a_picture_do_not_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: tuple[int, ...]
) -> None:
    from matplotlib.figure import Figure

    drawn: list[Figure] = []
    savefig = Figure.savefig

    def keep(figure: Figure, *arguments: object, **options: object) -> None:
        drawn.append(figure)
        savefig(figure, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    names = [
        f"features.{block}.{unit}.{name}"
        for block, count in enumerate(units)
        for unit in range(count)
        for name in UNIT
    ]
    spread = fake_spread([*names, *LAYERS[-3:]])
    kinds = [
        dataclasses.replace(spread, initializer=name, batch_norm=batch_norm)
        for name in INITIALIZERS
        for batch_norm in (False, True)
    ]
    initialization_picture.draw(kinds, tmp_path / "spread.png")
    (figure,) = drawn
    upper, lower = figure.axes
    boxes = [text.get_window_extent() for text in [*upper.texts, *lower.get_xticklabels()]]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    boxes += [axes.yaxis.label.get_window_extent() for axes in (upper, lower)]
    boxes = [box for box in boxes if box.width > 0]
    assert len(boxes) >= 2 + len(units)
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
        # Nor does a label leave the picture.
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_a_picture_without_one_drawable_value_is_still_a_picture(
    tmp_path: Path, value: float
) -> None:
    initialization_picture.draw([fake_spread(LAYERS, value)], tmp_path / "spread.png")
    assert (tmp_path / "spread.png").stat().st_size > 1000
