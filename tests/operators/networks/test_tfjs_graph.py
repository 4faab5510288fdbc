"""Reading graph models and evaluating them, on one that is small enough to compute by hand."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from operators.networks.tfjs_graph import GraphModelError, evaluate, read_graph_model

IDENTITY = [0, 0, 0, 0]


def node(name: str, op: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def integers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def write(folder: Path, nodes: list[dict[str, Any]], weights: dict[str, np.ndarray], outputs: list[str]) -> Path:
    """A graph model whose real weights are stored as 16-bit floats, spread over two files."""
    entries, data = [], b""
    for name, values in weights.items():
        entry: dict[str, Any] = {"name": name, "shape": list(values.shape), "dtype": str(values.dtype)}
        stored = values
        if values.dtype == np.float32:
            entry["quantization"] = {"dtype": "float16"}
            stored = values.astype(np.float16)
        entries.append(entry)
        data += stored.tobytes()
    (folder / "a.bin").write_bytes(data[:10])
    (folder / "b.bin").write_bytes(data[10:])
    content = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["a.bin", "b.bin"], "weights": entries}],
        "signature": {"outputs": {f"{name}:0": {} for name in outputs}},
    }
    file = folder / "model.json"
    file.write_text(json.dumps(content))
    return file


def small(folder: Path) -> Path:
    """A padded 3x3 convolution with stride 2 and bias, a leaky ReLU, a split; nodes out of order on purpose."""
    kernel = np.arange(3 * 3 * 2 * 3, dtype=np.float32).reshape(3, 3, 2, 3) / 8 - 3
    weights = {
        "kernel": kernel,
        "bias": np.float32([1, -2, 0.5]),
        "padding": np.int32([[0, 0], [1, 1], [1, 1], [0, 0]]),
        "sizes": np.int32([1, 2]),
        "axis": np.int32(3),
    }
    window = {"strides": integers(1, 2, 2, 1), "padding": {"s": base64.b64encode(b"VALID").decode()}}
    nodes = [
        node("second", "Identity", "parts:1"),
        node("parts", "SplitV", "leaky", "sizes", "axis", num_split={"i": "2"}),
        node("leaky", "LeakyRelu", "sum", alpha={"f": 0.1}),
        node("sum", "Add", "conv", "bias"),
        node("conv", "Conv2D", "padded", "kernel", dilations=integers(1, 1, 1, 1), **window),
        node("padded", "Pad", "image", "padding"),
        node("image", "Placeholder"),
        *(node(name, "Const") for name in weights),
    ]
    return write(folder, nodes, weights, ["second", "parts"])


def test_a_convolution_is_what_its_definition_says(tmp_path: Path) -> None:
    model = read_graph_model(small(tmp_path))
    image = np.random.default_rng(1).normal(size=(1, 5, 6, 2)).astype(np.float32)
    outputs = evaluate(model, {"image": image})

    padded = np.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.zeros((1, 3, 3, 3))
    for row in range(3):
        for column in range(3):
            window = padded[0, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected[0, row, column] = np.tensordot(window, model.weights["kernel"], 3) + model.weights["bias"]
    expected = np.where(expected > 0, expected, 0.1 * expected)
    np.testing.assert_allclose(outputs["parts"], expected[..., :1], rtol=1e-5)
    np.testing.assert_allclose(outputs["second"], expected[..., 1:], rtol=1e-5)


@pytest.mark.parametrize(("length", "wanted"), [(4, 8), (8, 4), (5, 5)])
def test_bilinear_resizing_is_opencvs(tmp_path: Path, length: int, wanted: int) -> None:
    import cv2

    resize = node("big", "ResizeBilinear", "image", "size", half_pixel_centers={"b": True})
    nodes = [node("image", "Placeholder"), node("size", "Const"), resize]
    model = read_graph_model(write(tmp_path, nodes, {"size": np.int32([wanted, wanted])}, ["big"]))
    image = np.random.default_rng(2).normal(size=(1, length, length, 3)).astype(np.float32)
    found = evaluate(model, {"image": image})["big"]
    # OpenCV's linear method, like this one, does not smooth before it halves.
    np.testing.assert_allclose(found[0], cv2.resize(image[0], (wanted, wanted)), atol=1e-5)


def test_weights_stored_as_bytes_are_scaled_back(tmp_path: Path) -> None:
    file = small(tmp_path)
    content = json.loads(file.read_text())
    entry = {"name": "w", "shape": [3], "dtype": "float32"}
    entry["quantization"] = {"dtype": "uint8", "scale": 0.5, "min": -1.0}  # type: ignore[assignment]
    content["weightsManifest"] = [{"paths": ["w.bin"], "weights": [entry]}]
    content["modelTopology"]["node"] = [node("w", "Const")]
    (tmp_path / "w.bin").write_bytes(bytes([0, 2, 255]))
    file.write_text(json.dumps(content))
    assert read_graph_model(file).weights["w"].tolist() == [-1.0, 0.0, 126.5]


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphModelError, match=r"cannot be read as a TensorFlow\.js graph model"):
        read_graph_model(tmp_path / "missing.json")
    file = small(tmp_path)
    (tmp_path / "b.bin").write_bytes(b"")
    with pytest.raises(GraphModelError, match=r"cannot be read as a TensorFlow\.js graph model"):
        read_graph_model(file)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(GraphModelError, match=r"a\.bin"):
        read_graph_model(file)


def test_a_graph_with_a_hole_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, [node("out", "Identity", "nowhere")], {}, ["out"])
    with pytest.raises(GraphModelError, match="has a cycle or a hole at out"):
        read_graph_model(file)


def test_an_unknown_operation_is_named(tmp_path: Path) -> None:
    nodes = [node("image", "Placeholder"), node("out", "Einsum", "image")]
    model = read_graph_model(write(tmp_path, nodes, {}, ["out"]))
    with pytest.raises(GraphModelError, match="out is a Einsum: this evaluation does not know that operation"):
        evaluate(model, {"image": np.zeros(1, np.float32)})
