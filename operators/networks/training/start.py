"""Weights to begin a detector's training with: published ones, or those of a training before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import paddle
from paddle import Tensor, nn

from operators.class_names import COCO, plain_name
from operators.networks.layers import ConvNorm
from operators.networks.official import load_convolutions, read_convolutions
from operators.networks.official_names import names_for
from operators.networks.official_weights import class_count, load_official
from operators.networks.training.errors import TrainingError
from operators.networks.weights import read_state


def begin(
    network: nn.Layer,
    labels: Sequence[str],
    path: Path,
    build: Callable[[tuple[str, ...]], nn.Layer],
    sample: Tensor,
) -> int:
    """Put weights into a network as far as they fit.

    Args:
        network: what is going to be trained.
        labels: names of its classes; one that COCO knows begins as COCO's, in a file of all eighty.
        path: official weights of the same network (`.pdparams`, or an ONNX export for COCO), or `best.pdparams` of a
            training of ours.
        build: makes the same network for other classes.
        sample: some pictures as the network wants them, whose statistics the norms are to have.

    Returns:
        How many of the network's tensors begin with weights of the file.

    Raises:
        TrainingError: the file is missing.
        ModelError: it is not of the same network.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: there is no such file of weights to start with")
    own = network.state_dict()
    if path.suffix == ".onnx":
        published = build(COCO)
        load_convolutions(published, read_convolutions(path), paddle.zeros([1, 3, 64, 64]))
        unfold_norms(published, sample)
        given = published.state_dict()
    else:
        given = read_state(path)
        if not set(given) & set(own) and names_for(network) is not None:  # PaddleDetection's own
            published = build(tuple(map(str, range(class_count(given)))))
            load_official(published, given)
            given = published.state_dict()
    rows = [COCO.index(plain_name(name)) if plain_name(name) in COCO else -1 for name in labels]
    taken = 0
    for name, tensor in own.items():
        there = given.get(name)
        if there is None:
            continue
        if list(there.shape) == list(tensor.shape):
            tensor.set_value(there)
            taken += 1
        elif list(there.shape[1:]) == list(tensor.shape[1:]):
            values = tensor.numpy()
            # Classes come first, whatever else the layer says follows them.
            rest = tensor.shape[0] - len(labels)
            if rest < 0 or there.shape[0] - rest != len(COCO):
                continue
            known = [(row, place) for row, place in enumerate(rows) if place >= 0]
            for row, place in known:
                values[row] = there[place]
            if rest:
                values[len(labels) :] = there[len(COCO) :]
            tensor.set_value(values)
            taken += 1
    if not taken:
        raise TrainingError(f"{path} holds no weight of this network")
    return taken


def unfold_norms(network: nn.Layer, sample: Tensor) -> None:
    """Give every norm the statistics of its convolution's output on `sample`, what it computes staying the same.

    Published exports have their norms folded into the convolutions. As they are they cannot be trained: a norm that
    does nothing in `eval` mode would normalise in `train` mode, and the network would be another one.
    """
    blocks = [layer for layer in network.sublayers() if isinstance(layer, ConvNorm)]
    seen: list[tuple[ConvNorm, Tensor, Tensor]] = []

    def watch(block: ConvNorm) -> Callable[[nn.Layer, object, Tensor], None]:
        def look(_layer: nn.Layer, _inputs: object, output: Tensor) -> None:
            seen.append((block, output.mean(axis=[0, 2, 3]), output.var(axis=[0, 2, 3], unbiased=False)))

        return look

    network.eval()
    hooks = [block.conv.register_forward_post_hook(watch(block)) for block in blocks]
    with paddle.no_grad():
        network(sample)
        for hook in hooks:
            hook.remove()
        for block, mean, variance in seen:
            norm = block.norm
            gain = norm.weight / paddle.sqrt(norm._variance + norm._epsilon)
            shift = norm.bias - norm._mean * gain
            norm.weight.set_value(gain * paddle.sqrt(variance + norm._epsilon))
            norm.bias.set_value(shift + mean * gain)
            norm._mean.set_value(mean)
            norm._variance.set_value(variance)
