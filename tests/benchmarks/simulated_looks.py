"""Embeddings drawn at random for recordings without pictures, as telling as a target rank-1 accuracy asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from fusion_support import CameraTable

from mtmct.exemplars import Exemplars
from mtmct.settings import AppearanceCalibration, FusionSettings

DIM = 128
_WITHIN = 0.2  # part of the noise's variance that differs from box to box; the rest is the track's own


def with_looks(
    cameras: Mapping[str, CameraTable], rank1: float, seed: int
) -> tuple[dict[str, CameraTable], AppearanceCalibration, float]:
    """The tables with embeddings, the calibration that fits them, and the rank-1 accuracy reached.

    An embedding is its object's own direction, its camera's bias, the noise of its track and of its box. The noise
    is chosen so that a box of each track finds, among one box of each track of the other cameras, the right object
    first in `rank1` of the cases. The calibration is fitted to draws of the same kind for other objects.
    """
    low, high = 0.1, 12.0
    for _ in range(20):
        noise = (low + high) / 2
        reached = _rank1(_draw(cameras, noise, seed), seed)
        low, high = (noise, high) if reached > rank1 else (low, noise)
    made = _draw(cameras, noise, seed)
    return made, _calibrate(_draw(cameras, noise, seed + 1000), seed), _rank1(made, seed)


def _draw(cameras: Mapping[str, CameraTable], noise: float, seed: int) -> dict[str, CameraTable]:
    random = np.random.default_rng(seed)
    people = np.unique(np.concatenate([table.people for table in cameras.values()]))
    own = _directions(random, len(people))
    result = {}
    for camera, table in sorted(cameras.items()):
        bias = 0.3 * noise * _directions(random, 1)
        _, track = np.unique(table.tracks, return_inverse=True)
        of_track = _directions(random, int(track.max()) + 1)
        of_box = _directions(random, len(table.tracks))
        spread = noise * (np.sqrt(1 - _WITHIN) * of_track[track] + np.sqrt(_WITHIN) * of_box)
        vectors = own[np.searchsorted(people, table.people)] + bias + spread
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        result[camera] = replace(table, embeddings=vectors.astype(np.float32))
    return result


def _directions(random: np.random.Generator, count: int) -> np.ndarray:
    vectors = random.normal(size=(count, DIM))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _one_box_a_track(
    cameras: Mapping[str, CameraTable], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    vectors, people, where = [], [], []
    for number, (_, table) in enumerate(sorted(cameras.items())):
        assert table.embeddings is not None
        for track in np.unique(table.tracks):
            row = int(random.choice(np.flatnonzero(table.tracks == track)))
            vectors.append(table.embeddings[row])
            people.append(int(table.people[row]))
            where.append(number)
    return np.stack(vectors), np.array(people), np.array(where)


def _rank1(cameras: Mapping[str, CameraTable], seed: int) -> float:
    right = asked = 0
    for turn in range(4):
        vectors, people, where = _one_box_a_track(cameras, np.random.default_rng(seed + turn))
        other = where[:, None] != where[None]
        findable = ((people[:, None] == people[None]) & other).any(axis=1)
        first = np.where(other, vectors @ vectors.T, -2.0).argmax(axis=1)
        right += int((people[first] == people)[findable].sum())
        asked += int(findable.sum())
    return right / asked


def _calibrate(cameras: Mapping[str, CameraTable], seed: int) -> AppearanceCalibration:
    """Logistic regression of same against different with equal priors: log odds are then log-likelihood ratios.

    The cosines are those between the looks that fusion keeps of whole tracks, not those between boxes.
    """
    looks, people, where = _looks_of_tracks(cameras)
    middles = np.stack([each.middle for each in looks]).astype(np.float64)
    cosine = middles @ middles.T
    first, second = np.nonzero(where[:, None] != where[None])
    cosine, same = cosine[first, second], people[first] == people[second]
    weights = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    columns = np.stack([cosine, np.ones(len(cosine))], axis=1)
    answer = np.zeros(2)
    for _ in range(50):
        said = 1 / (1 + np.exp(-columns @ answer))
        gradient = columns.T @ (weights * (same - said))
        curvature = (columns * (weights * said * (1 - said))[:, None]).T @ columns + 1e-9 * np.eye(2)
        answer += np.linalg.solve(curvature, gradient)
    return AppearanceCalibration(float(answer[0]), float(answer[1]))


def _looks_of_tracks(cameras: Mapping[str, CameraTable]) -> tuple[list[Exemplars], np.ndarray, np.ndarray]:
    """What fusion would keep of each track: an embedding a second, as few looks as it keeps."""
    looks, people, where = [], [], []
    for number, (_, table) in enumerate(sorted(cameras.items())):
        assert table.embeddings is not None
        for track in np.unique(table.tracks):
            rows = np.flatnonzero(table.tracks == track)[:: max(round(table.fps), 1)]
            worths, limit = np.ones(len(rows), np.float32), FusionSettings().track_exemplars
            looks.append(Exemplars().with_more(table.embeddings[rows], worths, limit))
            people.append(int(table.people[rows[0]]))
            where.append(number)
    return looks, np.array(people), np.array(where)
