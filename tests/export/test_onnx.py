"""ONNX models: the same outputs as both engines, for every kind of architecture."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.bundles import a_bundle
from helpers.engines import ENGINES
from helpers.networks import architectures
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_incep import datasets
from nas_incep.architecture import Architecture, Block
from nas_incep.export.bundle import Bundle
from nas_incep.export.onnx_runtime import compare, model_bytes, session_of
from nas_incep.export.predictor import outputs_of

VARIANTS = [
    Architecture((Block(2, 6, 3, 4, 2, 5, 3), Block(1, 3, 4, 3, 2, 2, 2)), *variant, 10, (1, 8, 8))
    for variant in itertools.product((True, False), repeat=3)
]


def check_same(bundle: Bundle, engine: str, images: np.ndarray) -> None:
    network, model = outputs_of(bundle, engine, "cpu"), session_of(bundle)
    result = compare(model, network, images)
    assert result.holds and result.largest <= 1e-5 * max(1.0, result.scale), result
    found, expected = model(images), network(images)
    gaps = np.sort(expected, axis=1)[:, -2:]
    clear = gaps[:, -1] - gaps[:, 0] > 1e-5 * max(1.0, result.scale)
    assert (found.argmax(1) == expected.argmax(1))[clear].all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("architecture", VARIANTS)
def test_a_model_computes_what_the_network_does(
    architecture: Architecture, engine: str, tmp_path: Path
) -> None:
    images = datasets.load("digits").validation.images
    check_same(a_bundle(tmp_path / "b", architecture), engine, images)


@settings(max_examples=15)
@given(architectures(st.integers(1, 9)), st.integers(0, 99))
def test_random_architectures_are_the_same_in_onnx(architecture: Architecture, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (3, *architecture.input_shape), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        check_same(a_bundle(Path(folder) / "b", architecture), "gluon", images)


def test_a_model_describes_itself_and_takes_any_batch(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "b")
    model = onnx.load_from_string(model_bytes(bundle))
    onnx.checker.check_model(model, full_check=True)
    (pixels,), outputs = model.graph.input, model.graph.output
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    sides = pixels.type.tensor_type.shape.dim
    assert sides[0].dim_param == "batch"
    assert tuple(side.dim_value for side in sides[1:]) == bundle.architecture.input_shape
    assert [output.name for output in outputs] == ["scores", "probabilities"]
    told = {prop.key: prop.value for prop in model.metadata_props}
    assert json.loads(told["classes"]) == list(bundle.manifest.classes)
    assert told["identity"] == bundle.architecture.identity
    session = session_of(bundle)
    for batch in (1, 5):
        assert session(np.zeros((batch, 3, 12, 10), np.uint8)).shape == (batch, 4)


def test_the_probabilities_are_those_of_a_prediction(tmp_path: Path) -> None:
    import onnxruntime

    from nas_incep.export.predictor import predictor_of

    bundle = a_bundle(tmp_path / "b")
    session = onnxruntime.InferenceSession(model_bytes(bundle), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    (row,) = session.run(["probabilities"], {"pixels": image.transpose(2, 0, 1)[None]})[0]
    expected = dict(predictor_of(bundle, "onnx", "cpu")(image))
    assert dict(zip(bundle.manifest.classes, row.tolist())) == pytest.approx(expected, abs=1e-6)
