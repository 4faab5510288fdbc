"""Which input of a network takes what: the picture, its size and scale, and what CenterTrack wants of the one before.

Inputs of Paddle's exports keep the names that PaddleDetection gave them, in whatever order; where the names tell
nothing, shapes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.inference import ModelError, Predictor
from operators.preprocess import Placement
from operators.records import Float32

_NAMES = {
    "image": "image",
    "images": "image",
    "x": "image",
    "data": "image",
    "input": "image",
    "im_shape": "size",
    "scale_factor": "scale",
    "pre_image": "previous",
    "pre_hm": "heat",
}


@dataclass(frozen=True)
class Previous:
    """What CenterTrack sees beside the picture.

    Attributes:
        image: (B, 3, H, W) float32, the picture before, prepared likewise.
        heat: (B, 1, H, W) float32 in [0, 1], where objects were in it.
    """

    image: Float32
    heat: Float32


class Feeding:
    """Puts values where a network's inputs want them.

    Attributes:
        shape: (B, 3, H, W) of the picture's input, -1 where free; () if the model does not say.
        batch: how many pictures the network insists on; None if it leaves that open.
        scaled: it is told the pictures' scale, so it gives boxes in pixels of the pictures.

    Raises:
        ModelError: no input takes pictures, or one takes nothing that is known here.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._roles = [_role(*pair) for pair in zip(predictor.input_names, predictor.input_shapes, strict=True)]
        pairs = [index for index, role in enumerate(self._roles) if role == "pair"]
        for index in pairs:
            # Of two unnamed pairs the first is the size, as PaddleDetection orders them.
            free = "size" not in self._roles and len(pairs) == 2
            self._roles[index] = "size" if free else "scale"
        if self._roles.count("image") != 1 or None in self._roles:
            raise ModelError(
                f"{predictor.name} takes no picture, or more than one: its inputs are {', '.join(_told(predictor))}"
            )
        self.shape = predictor.input_shapes[self._roles.index("image")]
        fixed = [
            shape[0]
            for shape, role in zip(predictor.input_shapes, self._roles, strict=True)
            if shape and shape[0] > 0 and role != "scale"
        ]
        # An ONNX file of PicoDet fixes the batch of the scale alone, and means the picture's too.
        fixed += [shape[0] for shape in predictor.input_shapes if shape and shape[0] > 0]
        self.batch = fixed[0] if fixed else None
        self.scaled = "scale" in self._roles
        self.looks_back = "previous" in self._roles

    def run(
        self, inputs: Float32, placements: Sequence[Placement], previous: Previous | None = None
    ) -> list[NDArray[Any]]:
        """The network's outputs.

        Args:
            inputs: (B, 3, H, W) float32, prepared.
            placements: one a picture; where there are fewer than inputs, the rest is filling.
            previous: None to show the picture itself once more, and nobody in it.
        """
        extra = [(1.0, 1.0)] * (len(inputs) - len(placements))
        values: list[NDArray[Any]] = []
        for role in self._roles:
            if role == "image":
                values.append(inputs)
            elif role == "size":
                values.append(np.array([p.size for p in placements] + extra, np.float32))
            elif role == "scale":
                values.append(np.array([p.scale for p in placements] + extra, np.float32))
            elif role == "previous":
                values.append(inputs if previous is None else previous.image)
            else:
                values.append(np.zeros_like(inputs[:, :1]) if previous is None else previous.heat)
        return self._predictor.run(values)


def _role(name: str, shape: tuple[int, ...]) -> str | None:
    if name in _NAMES:
        return _NAMES[name]
    if len(shape) == 4:
        return "heat" if shape[1] == 1 else "image"
    return "pair" if len(shape) == 2 and shape[1] == 2 else None


def _told(predictor: Predictor) -> list[str]:
    return [
        f"{name} ({'x'.join(map(str, shape)) or '?'})"
        for name, shape in zip(predictor.input_names, predictor.input_shapes, strict=True)
    ]
