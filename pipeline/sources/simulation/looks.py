"""Embeddings without pictures: as telling as a rank-1 accuracy says, and the calibration that belongs to them.

An embedding is its person's own direction, its camera's bias, the noise of that person's visit to that camera (light,
pose) and the noise of the single box, normalised. How much noise there is follows from the accuracy that is asked for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mtmct.exemplars import Exemplars
from mtmct.settings import FusionSettings

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_WITHIN = 0.2  # part of the noise's variance that differs from box to box; the rest is the visit's own
_BIAS = 0.3  # of a camera, in units of the noise
_MOST_PEOPLE, _MOST_CAMERAS = 500, 5  # in the gallery by which rank-1 is measured
_BOXES = 6  # of a visit, from which fusion makes what it keeps of a track
_OWN, _BIASES, _VISIT = 11, 12, 13  # kinds of random numbers
_TRIAL = 20_000


class Looks:
    """What everybody looks like to every camera.

    Args:
        dim: size of an embedding.
        noise: length of the noise; a person's own direction has length 1.
        seed: of everything.
        kept: visits that are kept rather than worked out anew for each stretch of frames: those that may be in view.
    """

    def __init__(self, dim: int, noise: float, seed: int, kept: int) -> None:
        self._dim, self._noise, self._seed = dim, noise, seed
        self._visit = lru_cache(maxsize=kept)(self._visit_of)

    def of(self, camera: int, people: Int64, cycles: Int64, random: np.random.Generator) -> NDArray[np.float32]:
        """(N, dim) float32, L2-normalised: boxes of people, each on a visit, in one camera.

        Args:
            camera: its number.
            people: (N,) their numbers.
            cycles: (N,) of their visits.
            random: of the boxes' own noise.
        """
        own = self._noise * np.sqrt(_WITHIN) * directions(random, len(people), self._dim)
        pairs, rows = np.unique(np.stack([people, cycles], axis=1), axis=0, return_inverse=True)
        base = np.stack([self._visit(camera, *pair) for pair in pairs.tolist()] or [np.zeros(self._dim)])
        return _unit(base[rows.ravel()] + own).astype(np.float32)

    def of_nobody(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """What false boxes look like."""
        return directions(random, count, self._dim).astype(np.float32)

    def _visit_of(self, camera: int, person: int, cycle: int) -> Float64:
        own, bias, visit = (
            directions(np.random.default_rng((self._seed, *key)), 1, self._dim)[0]
            for key in ((_OWN, person), (_BIASES, camera), (_VISIT, camera, person, cycle))
        )
        mixed: Float64 = own + self._noise * (_BIAS * bias + np.sqrt(1 - _WITHIN) * visit)
        return mixed


def directions(random: np.random.Generator, count: int, dim: int) -> Float64:
    """(count, dim) unit vectors, evenly distributed."""
    return _unit(random.normal(size=(count, dim)))


def _unit(vectors: Float64) -> Float64:
    unit: Float64 = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


@lru_cache(maxsize=64)
def noise_for(rank1: float, people: int, cameras: int, dim: int) -> float:
    """How much noise makes embeddings of that rank-1 accuracy.

    As on Market-1501 (Zheng et al., "Scalable person re-identification: a benchmark", 2015): the gallery holds one
    picture of everybody from every other camera, and counts if the most similar one is of the same person. At most
    500 people and 5 other cameras.
    """
    people, cameras = min(max(people, 2), _MOST_PEOPLE), min(max(cameras, 2), _MOST_CAMERAS + 1)
    low, high = 0.0, 20.0
    for _ in range(24):
        noise = (low + high) / 2
        low, high = (noise, high) if rank1_of(noise, people, cameras, dim) > rank1 else (low, noise)
    return round((low + high) / 2, 3)


def rank1_of(noise: float, people: int, cameras: int, dim: int, seed: int = 0) -> float:
    """The share of pictures whose most similar one in other cameras is of the same person."""
    right = asked = 0
    for turn in range(max(1, 2000 // (people * cameras))):
        vectors = _trial(noise, people, cameras, dim, 1, seed + turn)[:, :, 0]
        for camera in range(cameras):
            others = np.delete(vectors, camera, axis=0).reshape(-1, dim)
            first = (vectors[camera] @ others.T).argmax(axis=1) % people
            right += int((first == np.arange(people)).sum())
            asked += people
    return right / asked


@lru_cache(maxsize=64)
def calibration_for(noise: float, dim: int) -> tuple[float, float]:
    """Slope and offset of the log-likelihood ratio "same" against "another" over the cosine, in nats.

    For the looks that fusion keeps of whole tracks, of other people than those who are simulated.
    """
    people, cameras = 120, 3
    vectors = _trial(noise, people, cameras, dim, _BOXES, seed=_TRIAL)
    limit = FusionSettings().track_exemplars
    kept = np.stack([np.stack([_kept(boxes, limit).middle for boxes in of_camera]) for of_camera in vectors])
    cosines, same = [], []
    for one in range(cameras):
        for other in range(one + 1, cameras):
            cosines.append((kept[one] @ kept[other].T).astype(np.float64).ravel())
            same.append(np.eye(people, dtype=bool))
    slope, offset = logistic(np.concatenate(cosines), np.concatenate(same).ravel())
    return round(slope, 2), round(offset, 2)


def _kept(boxes: Float64, limit: int) -> Exemplars:
    return Exemplars().with_more(boxes.astype(np.float32), np.ones(len(boxes), np.float32), limit)


def _trial(noise: float, people: int, cameras: int, dim: int, boxes: int, seed: int) -> Float64:
    """(cameras, people, boxes, dim) embeddings of a visit of everybody to every camera."""
    random = np.random.default_rng(seed)
    own = directions(random, people, dim)[None, :, None]
    bias = directions(random, cameras, dim)[:, None, None]
    visit = directions(random, cameras * people, dim).reshape(cameras, people, 1, dim)
    box = directions(random, cameras * people * boxes, dim).reshape(cameras, people, boxes, dim)
    return _unit(own + noise * (_BIAS * bias + np.sqrt(1 - _WITHIN) * visit + np.sqrt(_WITHIN) * box))


def logistic(cosines: Float64, same: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of a logistic regression with equal priors: its log odds are log-likelihood ratios.

    Fitted by Newton's method; a trace of ridge keeps it finite where the two do not overlap.
    """
    weights = np.where(same, 0.5 / max(same.sum(), 1), 0.5 / max((~same).sum(), 1))
    columns = np.stack([cosines, np.ones(len(cosines))], axis=1)
    answer = np.zeros(2)
    for _ in range(50):
        said = 1 / (1 + np.exp(-np.clip(columns @ answer, -50, 50)))
        gradient = columns.T @ (weights * (same - said)) - 1e-4 * answer
        curvature = (columns * (weights * said * (1 - said))[:, None]).T @ columns + 1e-4 * np.eye(2)
        answer += np.linalg.solve(curvature, gradient)
    return float(answer[0]), float(answer[1])
