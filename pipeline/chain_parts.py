"""What the chain of a camera needs of its operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from mtmct.attributes import Votes
from operators.records import Detections, Float32, Image, Tracks


class Tracker(Protocol):
    """What the chain needs of a tracker.

    `uses_appearance`: detections shall come with embeddings. `rejected`: what it left out or repaired, by reason.
    """

    uses_appearance: ClassVar[bool]

    @property
    def rejected(self) -> Mapping[str, int]: ...
    def update(self, detections: Detections, time_ns: int) -> Tracks: ...
    def snapshot(self) -> bytes: ...
    def restore(self, data: bytes) -> None: ...


class Mask(Protocol):
    """Says which boxes count."""

    def keeps(self, boxes: Float32) -> NDArray[np.bool_]: ...


class Embedder(Protocol):
    """What the chain needs of an embedder."""

    def embed(self, image: Image, boxes: Float32) -> tuple[Float32, Float32]: ...


class Describer(Protocol):
    """What the chain needs of whoever says what objects are like. `classes`: of which it can say so."""

    classes: frozenset[str]

    def votes(self, image: Image, boxes: Float32, rows: Sequence[int]) -> Sequence[Votes]: ...
