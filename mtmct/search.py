"""Who looks like this? Query by example over the identities that are open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mtmct import state as stored
from mtmct.exemplars import Exemplars, likeness
from mtmct.settings import AppearanceCalibration
from operators.records import CrosscamError, Float32


class SearchError(CrosscamError):
    """The example cannot be compared with this site's identities."""


class Remembering(Protocol):
    """What has a state: an engine."""

    def snapshot(self) -> Mapping[str, bytes]:
        """All its keys."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An identity that looks like the example.

    Attributes:
        number: its number.
        cosine: of the look most like the example, among all that are kept of it.
        score: what that says, log-likelihood ratio in nats.
    """

    number: int
    cosine: float
    score: float


def search(
    source: Remembering | Mapping[str, bytes],
    vector: Float32,
    k: int = 10,
    calibration: AppearanceCalibration | None = None,
) -> list[Found]:
    """The `k` open identities most like an example, best first; of equals the older one.

    Every look that is kept of every open identity is compared, so nobody is missed who has left the gallery's
    shortlists. Who is closed, retracted or erased is in no state and so is never found.

    Args:
        source: an engine, or all keys of its stored state.
        vector: (D,) float32, an embedding by the site's own model; its length does not matter.
        k: identities to return at most.
        calibration: of that model; fusion's own default if None.

    Raises:
        SearchError: the vector is not finite, is zero, or is not of the site's dimension.
        StateError: the state is damaged or of another version.
    """
    state = source if isinstance(source, Mapping) else source.snapshot()
    query = np.asarray(vector, np.float32)
    norm = float(np.linalg.norm(query))
    if query.ndim != 1 or not np.isfinite(norm) or norm == 0:
        raise SearchError(f"the example is not one finite vector other than zero (its shape is {list(query.shape)})")
    numbers, owners, looks = _looks(state)
    if not numbers or k < 1:
        return []
    if looks.shape[1] != len(query):
        raise SearchError(
            f"the example has {len(query)} numbers, the embeddings of this site {looks.shape[1]}: embed it with the "
            "model that the site uses"
        )
    cosines = likeness((query / norm)[None], np.ones(1, np.float32), looks, owners, len(numbers))
    calibration = calibration or AppearanceCalibration()
    best = np.argsort(-cosines, kind="stable")[:k]
    return [Found(numbers[row], float(cosines[row]), calibration.llr(float(cosines[row]))) for row in best.tolist()]


def _looks(state: Mapping[str, bytes]) -> tuple[list[int], np.ndarray, Float32]:
    """Numbers of the identities that have looks, ascending; the row of its owner for each look; (L, D) looks."""
    kept: dict[int, list[Exemplars]] = {}
    for key in sorted(state):
        if key.startswith(stored.IDENTITY):
            identity = stored.unpack_identity(key, state[key])
            kept.setdefault(identity.number, []).append(identity.looks)
        elif key.startswith(stored.TRACK):
            track = stored.unpack_track(key, state[key])
            if track.identity:
                kept.setdefault(track.identity, []).append(track.looks)
    vectors = {
        number: [looks.vectors for looks in kept[number] if len(looks)]
        for number in sorted(kept)
        if any(len(looks) for looks in kept[number])
    }
    if not vectors:
        return [], np.zeros(0), np.zeros((0, 0), np.float32)
    per_identity = [np.concatenate(each) for each in vectors.values()]
    owners = np.repeat(np.arange(len(per_identity), dtype=np.float64), [len(each) for each in per_identity])
    return list(vectors), owners, np.concatenate(per_identity)
