"""Published weights in our networks: from an official ONNX export, convolution by convolution.

Exports have batch norm folded into the convolutions and names that mean nothing. What they keep is the order of
computation; our networks compute in that order, too, and every shape must fit. So no table of names is needed, and a
network that differs anywhere is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from operators.inference import ModelError
from operators.networks.layers import ConvNorm

Weights = tuple[NDArray[np.float32], NDArray[np.float32] | None]


def read_convolutions(file: Path) -> list[Weights]:
    """Kernel and bias of every convolution in an ONNX file, in the order of computation.

    Raises:
        ModelError: it is none, or the `onnx` package is missing.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise ModelError("reading weights from ONNX files needs the onnx package: pip install onnx") from error
    try:
        graph = onnx.load(str(file)).graph
    except Exception as error:
        raise ModelError(f"{file} cannot be read as ONNX ({type(error).__name__}): copy or export it again") from error
    stored = {item.name: item for item in graph.initializer}
    made = {output: node for node in graph.node for output in node.output}

    for node in graph.node:
        if node.op_type == "Constant":
            stored[node.output[0]] = next(item for item in node.attribute if item.name.startswith("value")).t

    def value(name: str) -> NDArray[np.float32]:
        while name not in stored:  # a bias may reach its convolution through a reshape
            name = made[name].input[0]
        return np.asarray(numpy_helper.to_array(stored[name]), np.float32)

    convolutions: list[Weights] = []
    after: dict[str, int] = {}
    for node in graph.node:
        if node.op_type == "Conv":
            after[node.output[0]] = len(convolutions)
            convolutions.append((value(node.input[1]), value(node.input[2]) if len(node.input) > 2 else None))
        elif node.op_type == "Add":
            # What an exporter adds right after is the convolution's bias.
            found = [after[name] for name in node.input if name in after]
            biases = [name for name in node.input if name not in after and _is_stored(name, stored, made)]
            if len(found) == 1 and biases and convolutions[found[0]][1] is None:
                kernel, _ = convolutions[found[0]]
                bias = value(biases[0]).reshape(-1)
                if len(bias) == len(kernel):
                    convolutions[found[0]] = (kernel, bias)
    return convolutions


def _is_stored(name: str, stored: dict[str, Any], made: dict[str, Any]) -> bool:
    while name not in stored:
        node = made.get(name)
        if node is None or node.op_type not in ("Reshape", "Identity"):
            return False
        name = node.input[0]
    return True


def load_convolutions(network: nn.Layer, weights: list[Weights], example: paddle.Tensor) -> None:
    """Put weights into a network's convolutions, in the order in which it computes them; it is in `eval` mode then.

    Raises:
        ModelError: their number or shapes differ.
    """
    order: list[tuple[nn.Conv2D, ConvNorm | None]] = []
    blocks = [layer for layer in network.sublayers() if isinstance(layer, ConvNorm)]
    inner = {id(block.conv) for block in blocks}
    bare = [layer for layer in network.sublayers() if isinstance(layer, nn.Conv2D) and id(layer) not in inner]
    hooks = [
        *(block.register_forward_pre_hook(lambda block, _: order.append((block.conv, block))) for block in blocks),
        *(conv.register_forward_pre_hook(lambda conv, _: order.append((conv, None))) for conv in bare),
    ]
    network.eval()
    with paddle.no_grad():
        network(example)
        for hook in hooks:
            hook.remove()
        if len(order) != len(weights):
            raise ModelError(f"the file holds {len(weights)} convolutions, this network {len(order)}: not the same one")
        for number, ((conv, block), (kernel, bias)) in enumerate(zip(order, weights, strict=True)):
            if list(kernel.shape) != conv.weight.shape:
                ours, theirs = "x".join(map(str, conv.weight.shape)), "x".join(map(str, kernel.shape))
                raise ModelError(f"convolution {number} is {theirs} in the file and {ours} here: not the same network")
            conv.weight.set_value(kernel)
            given = np.zeros(len(kernel), np.float32) if bias is None else bias
            if block is None:
                conv.bias.set_value(given)
            else:
                # A norm that does nothing but add the bias.
                block.norm._mean.set_value(np.zeros_like(given))
                block.norm._variance.set_value(np.ones_like(given))
                block.norm.weight.set_value(np.full_like(given, np.sqrt(1 + block.norm._epsilon)))
                block.norm.bias.set_value(given)
