"""A network's weights averaged over training, which find more than the last ones do (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paddle
from paddle import Tensor, nn


class Average:
    """The exponential moving average of everything in a layer that is a float, buffers included.

    Args:
        layer: what is averaged; starts with its present values.
        decay: weight of the past, once there is one: it is at most (1 + n) / (10 + n) at update n, so that the first
            weights are soon forgotten.
    """

    def __init__(self, layer: nn.Layer, decay: float) -> None:
        self.layer, self.decay, self.updates = layer, decay, 0
        self.values = {name: value.detach().clone() for name, value in _floats(layer).items()}

    def update(self) -> None:
        """Take the layer's present values in."""
        self.updates += 1
        past = min(self.decay, (1 + self.updates) / (10 + self.updates))
        with paddle.no_grad():
            for name, value in _floats(self.layer).items():
                self.values[name] = self.values[name] * past + value.detach() * (1 - past)

    def swap(self) -> None:
        """Exchange the average and the layer's values; a second call undoes the first."""
        with paddle.no_grad():
            for name, value in _floats(self.layer).items():
                own = value.detach().clone()
                value.set_value(self.values[name])
                self.values[name] = own

    @contextmanager
    def used(self) -> Iterator[None]:
        """The layer has the average within, and its own values again afterwards."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def state(self) -> dict[str, Any]:
        """For `restore`."""
        return {"updates": self.updates, "values": self.values}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.updates = int(state["updates"])
        self.values = {name: paddle.to_tensor(state["values"][name]) for name in self.values}


def _floats(layer: nn.Layer) -> dict[str, Tensor]:
    return {name: value for name, value in layer.state_dict().items() if value.dtype == paddle.float32}
