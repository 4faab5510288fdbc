from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mtmct import state as stored
from mtmct.exemplars import Exemplars
from mtmct.filing import Filing
from mtmct.gallery import LARGE, Gallery
from mtmct.settings import FusionSettings
from mtmct.track_looks import TrackLooks
from mtmct.track_state import TrackState
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


X, Y, Z = np.eye(3, dtype=np.float32)


def test_search_finds_the_most_alike_over_all_shards_best_first():
    gallery = Gallery(shard_ns=10, keep_ns=100)
    gallery.add(0, np.array([1, 2]), np.stack([X, Y]))
    gallery.add(1, np.array([3]), unit(1, 0.2, 0)[None])
    owners, cosines = gallery.search(np.stack([X, Y]), 2)
    assert owners.tolist() == [[1, 3], [2, 3]]
    assert cosines[0, 0] == 1.0 and cosines[0, 1] > 0.9


def test_fewer_than_asked_for_are_marked():
    gallery = Gallery(10, 100)
    gallery.add(0, np.array([1]), X[None])
    owners, cosines = gallery.search(X[None], 3)
    assert owners.tolist() == [[1, -1, -1]] and cosines[0, 1:].tolist() == [-1, -1]
    assert Gallery(10, 100).search(X[None], 2)[0].tolist() == [[-1, -1]]


def test_looks_of_one_identity_are_filed_no_more_often_than_are_kept_once_the_gallery_is_large():
    filing, journal = Filing(FusionSettings(exemplars=4)), stored.Journal()
    memory = TrackMemory()
    look = Exemplars(X[None], np.ones(1, np.float32))

    def seen(uid: int) -> TrackState:
        where, still = np.zeros(8), np.zeros(4)
        known = {"identity": min(uid, LARGE + 1), "offered": 1, "looks": look}
        return TrackState(uid, "a", uid, {"person": 1}, 0, 0, 5, where, where, still, True, **known)

    memory.put(*map(seen, range(1, LARGE + 21)))
    filing.file(memory, range(1, LARGE + 1), SECOND_NS, 1, journal)
    assert len(filing.gallery) == LARGE + 20, "what comes at first comes whole"
    other = seen(LARGE + 21)
    memory.put(other)
    filing.file(memory, [other.uid], 2 * SECOND_NS, 2, journal)
    assert len(filing.gallery) == LARGE + 20, "of this one twenty are filed already"
    again = Filing(FusionSettings(exemplars=4))
    again.restore(journal.state.items())
    again.file(memory, [other.uid], 2 * SECOND_NS, 2, stored.Journal())
    assert len(again.gallery) == LARGE + 20, "after a restart, too"


def test_a_shard_goes_as_a_whole_once_all_of_it_is_too_old():
    gallery = Gallery(shard_ns=10, keep_ns=100)
    for time in (5, 15, 25):
        gallery.add(gallery.shard_of(time), np.array([time]), X[None])
    assert gallery.expire(109) == [] and len(gallery) == 3
    assert gallery.expire(110) == [0] and gallery.shards == (1, 2)
    assert gallery.expire(10**6) == [1, 2] and len(gallery) == 0


def test_like_looks_become_one_and_others_stay_apart_up_to_the_limit():
    looks = Exemplars().with_more(np.stack([X, unit(1, 0.1, 0), Y]), np.array([1, 1, 0.5], np.float32), 2)
    assert len(looks) == 2 and looks.weights.tolist() == [2.0, 0.5]
    looks = looks.with_more(unit(0, 1, 1)[None], np.array([0.2], np.float32), 2)
    assert len(looks) == 2, "the two most alike were joined"
    assert np.allclose(np.linalg.norm(looks.vectors, axis=1), 1)


def test_a_poor_picture_moves_a_look_less_than_a_good_one():
    vectors = np.stack([X, unit(1, 0.3, 0)])
    good, poor = (Exemplars().with_more(vectors, np.array([1, weight], np.float32), 3) for weight in (1.0, 0.1))
    assert poor.vectors[0] @ X > good.vectors[0] @ X


def test_ever_fewer_embeddings_are_taken_in():
    looks, one, none = TrackLooks(1), np.ones(1, np.int64), np.zeros(1, np.int64)
    looks.widen(3)

    def taken(offered: int) -> bool:
        picture = X[None], np.ones(1, np.float32)
        return bool(looks.learn(none, offered * one, *picture, none, one, 3)[0])

    assert [n for n in range(40) if taken(n)] == [0, 1, 2, 3, 4, 6, 8, 12, 16, 23, 32]
    lengths = [(n**2).bit_length() for n in range(5_000)]
    assert [taken(n) for n in range(1, 5_000)] == [one != other for one, other in pairwise(lengths)]


def test_many_tracks_learn_at_once_what_each_learns_by_itself():
    dice = np.random.default_rng(5)
    looks, offered, limit = TrackLooks(4), np.zeros(4, np.int64), 2
    looks.widen(8)
    alone = [Exemplars() for _ in range(4)]
    for _ in range(30):
        rows = np.flatnonzero(dice.random(4) < 0.7)
        counts = dice.integers(0, 4, len(rows))
        vectors = np.stack([unit(*dice.normal(size=8)) for _ in range(counts.sum())] or [np.zeros(8, np.float32)])
        worths = dice.uniform(0.1, 1, len(vectors)).astype(np.float32)
        highs = np.cumsum(counts)
        looks.learn(rows, offered, vectors, worths, highs - counts, highs, limit)
        for row, low, high in zip(rows.tolist(), (highs - counts).tolist(), highs.tolist(), strict=True):
            for at in range(low, high):
                number = int(offered[row]) + at - low
                if number == 0 or (number**2).bit_length() != ((number - 1) ** 2).bit_length():
                    alone[row] = alone[row].with_more(vectors[at : at + 1], worths[at : at + 1], limit)
        offered[rows] += counts
    looks.settle()
    for row, one in enumerate(alone):
        assert np.array_equal(looks.of(row).sums, one.sums) and np.array_equal(looks.of(row).weights, one.weights)
        assert np.array_equal(looks.middle[row], one.middle)
        assert np.array_equal(looks.heaviest(np.array([row]))[0], one.heaviest)


def crowd(count: int, seed: int) -> np.ndarray:
    """Looks of forty people."""
    dice = np.random.default_rng(seed)
    people = np.random.default_rng(0).normal(size=(40, 32))
    vectors = people[np.arange(count) % 40] + 0.4 * dice.normal(size=(count, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def filled(kind: str) -> Gallery:
    gallery = Gallery(10, 100, kind, ivf_from=500)
    for shard, count in ((0, 800), (1, 200), (2, 40)):
        gallery.add(shard, np.arange(count) % 40, crowd(count, shard))
    return gallery


def test_cells_find_the_same_people_and_the_same_again():
    queries = crowd(40, 9)
    exact, nearest = filled("flat").search(queries, 200)
    owners, cosines = filled("ivf").search(queries, 200)
    assert (owners[:, 0] == exact[:, 0]).mean() > 0.95
    assert not np.array_equal(cosines, nearest), "the large shard is in cells: what is far away is not looked at"
    again = filled("ivf").search(queries, 200)
    assert np.array_equal(owners, again[0]) and np.array_equal(cosines, again[1])


def test_cells_with_too_few_vectors_are_marked():
    gallery = Gallery(10, 100, "ivf", ivf_from=20)
    gallery.add(0, np.arange(40), crowd(40, 0))
    gallery.add(1, np.array([7]), crowd(1, 1))
    owners, cosines = gallery.search(crowd(1, 2), 39)
    assert (owners[0] == -1).any() and (cosines[0][owners[0] == -1] == -1).all()
    assert (np.diff(cosines[0]) <= 0).all()


def test_a_large_gallery_finds_everybody_once_by_their_mean_look(monkeypatch):
    monkeypatch.setattr("mtmct.gallery.LARGE", 6)
    gallery = Gallery(10, 100)
    gallery.add(0, np.array([1, 1, 2, 1]), np.stack([X, unit(1, 0.4, 0), Z, unit(1, -0.4, 0)]))
    assert gallery.search(X[None], 4)[0].tolist() == [[1, 1, 1, 2]], "not large yet: every look counts"
    gallery.add(1, np.array([2, 3]), np.stack([Y, unit(1, 1, 0)]))
    owners, cosines = gallery.search(np.stack([X, unit(0, 1, 1)]), 4)
    assert owners.tolist() == [[1, 3, 2, -1], [2, 3, 1, -1]]
    assert cosines[0].tolist() == pytest.approx([1, 0.5**0.5, 0, -1])
    assert cosines[1, 0] == pytest.approx(1), "the mean of looks in two shards"
    assert gallery.search(X[None], 4, without=np.array([1]))[0].tolist() == [[3, 2, -1, -1]]
    gallery.add(1, np.array([2]), X[None])
    assert gallery.search(X[None], 3)[1][0, 2] == pytest.approx(1 / 3**0.5), "what is filed counts at once"
    assert gallery.expire(110) == [0]
    assert gallery.search(X[None], 2)[0].tolist() == [[2, 3]], "no longer large: every look counts"


def test_mean_looks_are_those_of_all_that_is_held_however_it_came(monkeypatch):
    monkeypatch.setattr("mtmct.gallery.LARGE", 1)
    dice = np.random.default_rng(4)
    gallery, held = Gallery(10, 30), {}
    for time in range(120):
        shard, owners = gallery.shard_of(time), dice.integers(0, 12, dice.integers(0, 5))
        looks = np.stack([unit(*dice.normal(size=4)) for _ in owners]) if len(owners) else np.zeros((0, 4), np.float32)
        gallery.add(shard, owners, looks)
        held.setdefault(shard, []).extend(zip(owners.tolist(), looks, strict=True))
        for gone in gallery.expire(time + 40 * (time == 60)):  # at once all that there is, once
            del held[gone]
        sums = {}
        for owner, one in (filed for shard in sorted(held) for filed in held[shard]):
            sums[owner] = sums.get(owner, 0) + one
        query = unit(*dice.normal(size=4))
        owners, cosines = gallery.search(query[None], 12)
        found = dict(zip(owners[0].tolist(), cosines[0].tolist(), strict=True))
        found.pop(-1, None)
        assert found == pytest.approx(
            {owner: query @ one / np.linalg.norm(one) for owner, one in sums.items()}, abs=1e-5
        )


def test_many_people_of_a_complete_shard_are_put_into_cells(monkeypatch):
    monkeypatch.setattr("mtmct.gallery.LARGE", 1000)
    queries = crowd(40, 9)

    def filled(kind: str) -> Gallery:
        gallery = Gallery(10, 100, kind, ivf_from=40)
        for shard in range(2):
            gallery.add(shard, np.arange(800) % 40, crowd(800, shard))
        return gallery

    exact, _ = filled("flat").search(queries, 40)
    assert (np.sort(exact, axis=1) == np.arange(40)).all() and (exact[:, 0] == np.arange(40)).all()
    found, _ = filled("ivf").search(queries, 40)
    assert (found[:, 0] == np.arange(40)).all()
    assert [len(row) - len(set(row)) for row in found.tolist()] != [0] * 40, "once by the cells, once by the rest"


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_who_is_left_out_is_not_found_and_takes_nobody_elses_place(kind):
    looks = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    gallery = Gallery(10, 100, kind, ivf_from=50)
    for shard in range(2):
        gallery.add(shard, np.arange(100) + 100 * shard, looks[100 * shard :][:100])
    query = looks[7:8]
    everybody, _ = gallery.search(query, 200)
    away = everybody[0, :5]
    owners, cosines = gallery.search(query, 200, without=away)
    found = owners[0][owners[0] >= 0].tolist()
    assert found == [owner for owner in everybody[0].tolist() if owner >= 0 and owner not in away]
    assert not (np.diff(cosines[0]) > 0).any()
    nobody, _ = gallery.search(query, 3, without=np.arange(200))
    assert nobody.tolist() == [[-1, -1, -1]]
