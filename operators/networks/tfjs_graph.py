"""Read a TensorFlow.js graph model, and evaluate it node by node with NumPy.

The evaluation is slow and knows only the operations that plain convolutional detectors use. It is there as an
independent witness: a network rebuilt from such a model must give what the model itself gives.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from operators.records import CrosscamError

Array = NDArray[Any]

_STORED = {"float16": np.float16, "uint16": np.uint16, "uint8": np.uint8}


class GraphModelError(CrosscamError):
    """A TensorFlow.js graph model cannot be read, or holds something that the evaluation does not know."""


@dataclass(frozen=True)
class Node:
    """One operation: its name, kind, the names of what it reads (`name` or `name:output`), and its attributes."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def text(self, key: str) -> str:
        """A text attribute, which the format keeps as base64."""
        return base64.b64decode(self.attributes[key]["s"]).decode()

    def integers(self, key: str) -> list[int]:
        """A list attribute of integers."""
        return [int(i) for i in self.attributes[key]["list"].get("i", [])]

    def flag(self, key: str) -> bool:
        """A boolean attribute, false where it is absent."""
        return bool(self.attributes.get(key, {}).get("b", False))


@dataclass(frozen=True)
class GraphModel:
    """The nodes in an order in which they can be computed, the weights by name (float32 where they are reals)."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, Array]
    outputs: tuple[str, ...]

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(node for node in self.nodes if node.name == name)


def read_graph_model(topology: Path) -> GraphModel:
    """The model whose JSON file is `topology`; its weight files lie beside it.

    Raises:
        GraphModelError: a file is missing, is no graph model, or its weights are cut short.
    """
    try:
        described = json.loads(topology.read_text("utf-8"))
        groups = described["weightsManifest"]
        nodes = [
            Node(n["name"], n["op"], tuple(i.removesuffix(":0") for i in n.get("input", ())), n.get("attr", {}))
            for n in described["modelTopology"]["node"]
        ]
        weights: dict[str, Array] = {}
        for group in groups:
            data = b"".join((topology.parent / path).read_bytes() for path in group["paths"])
            offset = 0
            for entry in group["weights"]:
                weights[entry["name"]], offset = _tensor(entry, data, offset)
        outputs = tuple(key.removesuffix(":0") for key in described["signature"]["outputs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GraphModelError(
            f"{topology} cannot be read as a TensorFlow.js graph model: {error or repr(error)}"
        ) from error
    return GraphModel(tuple(_sorted(nodes)), weights, outputs)


def _tensor(entry: Mapping[str, Any], data: bytes, offset: int) -> tuple[Array, int]:
    quantised = entry.get("quantization")
    stored = np.dtype(_STORED[quantised["dtype"]] if quantised else entry["dtype"])
    shape = [int(side) for side in entry["shape"]]
    count = int(np.prod(shape))
    values: Array = np.frombuffer(data, stored, count, offset).reshape(shape)
    if quantised and "scale" in quantised:
        values = values * np.float32(quantised["scale"]) + np.float32(quantised["min"])
    return values.astype(entry["dtype"]), offset + count * stored.itemsize


def _sorted(nodes: list[Node]) -> list[Node]:
    """Kahn's order, stable: a node comes after all that it reads."""
    done: set[str] = set()
    ordered: list[Node] = []
    waiting = nodes
    while waiting:
        later = []
        for node in waiting:
            if all(i.split(":")[0] in done for i in node.inputs):
                done.add(node.name)
                ordered.append(node)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise GraphModelError(f"the graph has a cycle or a hole at {later[0].name}: it is not a whole model")
        waiting = later
    return ordered


def evaluate(model: GraphModel, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The model's outputs by name, for inputs by name.

    Raises:
        GraphModelError: an operation that this evaluation does not know.
    """
    values: dict[str, Array] = {**model.weights, **feeds}
    for node in model.nodes:
        if node.name in values:
            continue
        operation = _OPERATIONS.get(node.op)
        if operation is None:
            raise GraphModelError(f"{node.name} is a {node.op}: this evaluation does not know that operation")
        result = operation(node, *(values[i] for i in node.inputs))
        if isinstance(result, list):
            for index, part in enumerate(result):
                values[f"{node.name}:{index}" if index else node.name] = part
        else:
            values[node.name] = result
    return {name: values[name] for name in model.outputs}


def _convolve(node: Node, x: Array, kernel: Array) -> Array:
    windows = _windows(node, x, kernel.shape[0], kernel.shape[1])
    result: Array = np.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True)
    return result


def _windows(node: Node, x: Array, height: int, width: int) -> Array:
    """(B, H', W', C, height, width) views of NHWC `x`, valid padding."""
    if node.text("padding") != "VALID" or set(
        node.integers("dilations") if "dilations" in node.attributes else [1]
    ) != {1}:
        raise GraphModelError(f"{node.name}: only undilated windows with explicit padding are evaluated")
    _, down, right, _ = node.integers("strides")
    windows: Array = sliding_window_view(x, (height, width), axis=(1, 2))[:, ::down, ::right]  # type: ignore[call-overload]
    return windows


def _pool(node: Node, x: Array) -> Array:
    _, height, width, _ = node.integers("ksize")
    result: Array = _windows(node, x, height, width).max(axis=(4, 5))
    return result


def _resize(node: Node, x: Array, size: Array) -> Array:
    if not node.flag("half_pixel_centers") or node.flag("align_corners"):
        raise GraphModelError(f"{node.name}: only bilinear resizing with half-pixel centres is evaluated")
    for axis, wanted in zip((1, 2), size, strict=True):
        length = x.shape[axis]
        source = (np.arange(int(wanted)) + 0.5) * (length / int(wanted)) - 0.5
        low = np.floor(source)
        share = (source - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(4)])
        before = np.take(x, np.clip(low, 0, length - 1).astype(int), axis)
        after = np.take(x, np.clip(low + 1, 0, length - 1).astype(int), axis)
        x = before * (1 - share) + after * share
    return x


def _sparse(node: Node, indices: Array, shape: Array, values: Array, default: Array) -> Array:
    dense = np.full(shape, default)
    dense[tuple(indices.T)] = values
    return dense


def _split(node: Node, x: Array, sizes: Array, axis: Array) -> list[Array]:
    return np.split(x, np.cumsum(sizes)[:-1], int(axis))


_OPERATIONS: dict[str, Callable[..., Array | list[Array]]] = {
    "Identity": lambda node, x: x,
    "Add": lambda node, a, b: a + b,
    "AddV2": lambda node, a, b: a + b,
    "Conv2D": _convolve,
    "ConcatV2": lambda node, *parts: np.concatenate(parts[:-1], int(parts[-1])),
    "LeakyRelu": lambda node, x: np.where(x > 0, x, x * np.float32(node.attributes["alpha"]["f"])),
    "MaxPool": _pool,
    "Pad": lambda node, x, padding: np.pad(x, padding),
    "PadV2": lambda node, x, padding, value: np.pad(x, padding, constant_values=value.item()),
    "Reshape": lambda node, x, shape: x.reshape(shape),
    "ResizeBilinear": _resize,
    "Sigmoid": lambda node, x: 1 / (1 + np.exp(-x)),
    "SparseToDense": _sparse,
    "SplitV": _split,
    "Transpose": lambda node, x, order: x.transpose(order),
}
