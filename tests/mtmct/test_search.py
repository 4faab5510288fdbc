from __future__ import annotations

import numpy as np
import pytest
from fusion_scenes import camera, look, play, script, straight, topology

from mtmct import state as stored
from mtmct.fusion import FusionEngine
from mtmct.search import Found, Lookbook, SearchError, search, search_identity
from mtmct.settings import AppearanceCalibration, FusionSettings
from operators.records import SECOND_NS


def crowd(people: int = 6) -> FusionEngine:
    walks = {
        ("a", person): {"path": straight(3 * person, 3), "start": 0, "end": 4, "look": look(person)}
        for person in range(1, people + 1)
    }
    engine = FusionEngine("plaza", topology(camera("a")))
    play(engine, script(walks, {"a": (0.0, 0.0)}, 5)[:4])
    return engine


def test_the_most_alike_come_first_with_exact_cosines():
    found = search(crowd(), look(4), 3, AppearanceCalibration(10.0, -5.0))
    expected = sorted(range(1, 7), key=lambda person: -float(look(person) @ look(4)))[:3]
    assert [each.number for each in found] == expected and found[0].number == 4
    assert [each.cosine for each in found] == pytest.approx([float(look(n) @ look(4)) for n in expected], abs=1e-6)
    assert found[0] == Found(4, found[0].cosine, pytest.approx(5.0, abs=1e-5))


def test_length_of_the_example_and_engine_or_state_make_no_difference():
    engine = crowd()
    assert [f.number for f in search(engine.snapshot(), 7 * look(2))] == [f.number for f in search(engine, look(2))]


def test_a_lookbook_of_a_later_state_unpacks_what_is_new_in_it_and_says_the_same(monkeypatch: pytest.MonkeyPatch):
    before = Lookbook(crowd(5).snapshot())
    engine = crowd(6)
    unpacked: list[str] = []
    unpack = stored.unpack_identity

    def noted(key: str, data: bytes):
        unpacked.append(key)
        return unpack(key, data)

    monkeypatch.setattr(stored, "unpack_identity", noted)
    later = Lookbook(engine.snapshot(), before)
    assert unpacked == [stored.identity_key(6)]
    assert search(later, look(4), 9) == search(engine, look(4), 9)
    assert search_identity(later, 2, 9) == search_identity(engine, 2, 9)
    gone = Lookbook({key: data for key, data in engine.snapshot().items() if key != stored.identity_key(4)}, later)
    assert all(found.open is (found.number != 4) for found in search(gone, look(4), 9))


def test_asking_for_more_than_there_are_gives_all_and_for_none_nothing():
    assert len(search(crowd(), look(1), 100)) == 6
    assert search(crowd(), look(1), 0) == []


def test_where_nobody_is_known_nobody_is_found():
    engine = FusionEngine("plaza", topology(camera("a")))
    assert search(engine, look(1)) == []
    walks = {("a", 1): {"path": straight(3, 3), "start": 0, "end": 4}}
    play(engine, script(walks, {"a": (0.0, 0.0)}, 5)[:4])
    assert search(engine, look(1)) == [], "somebody without looks cannot be found by them"


def test_the_closed_are_found_while_their_looks_are_kept_and_no_longer():
    walks = {("a", 1): {"path": straight(3, 3), "start": 0, "end": 4, "look": look(1)}}

    def after(minutes: int, kept_s: float) -> list:
        settings = FusionSettings(searchable_s=kept_s)
        engine = FusionEngine("plaza", topology(camera("a")), settings)
        play(engine, script(walks, {"a": (0.0, 0.0)}, 5)[:-1])
        engine.advance([], minutes * 60 * SECOND_NS)
        restored = FusionEngine("plaza", topology(camera("a")), settings)
        restored.restore(engine.snapshot())
        restored.advance([], minutes * 60 * SECOND_NS + 1)
        return search(restored, look(1))

    assert [(found.number, found.open) for found in after(10, 3600)] == [(1, False)]
    assert after(10, 0) == [] and after(62, 3600) == []


def test_who_was_open_at_the_end_is_still_found():
    walks = {("a", 1): {"path": straight(3, 3), "start": 0, "end": 4, "look": look(1)}}
    engine = FusionEngine("plaza", topology(camera("a")))
    play(engine, script(walks, {"a": (0.0, 0.0)}, 5))
    assert [(found.number, found.open) for found in search(engine, look(1))] == [(1, False)]


def test_who_else_looks_like_somebody():
    near = look(1) + 0.1 * look(3)
    looks = {1: look(1), 2: look(2), 3: near / np.linalg.norm(near)}
    walks = {
        ("a", person): {"path": straight(3 * person, 3), "start": 0, "end": 4, "look": looks[person]}
        for person in looks
    }
    engine = FusionEngine("plaza", topology(camera("a")))
    play(engine, script(walks, {"a": (0.0, 0.0)}, 5)[:3])
    assert [found.number for found in search_identity(engine, 1)] == [3, 2]
    assert [found.number for found in search_identity(engine, 1, 1)] == [3]
    with pytest.raises(SearchError, match="nothing is kept of what identity number 9 looks like"):
        search_identity(engine, 9)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros(16), "other than zero"),
        (np.full(16, np.nan), "finite"),
        (np.ones((2, 16)), "not one"),
        (np.ones(8), "has 8 numbers, the embeddings of this site 16"),
    ],
)
def test_examples_that_cannot_be_compared_are_refused(vector, message):
    with pytest.raises(SearchError, match=message):
        search(crowd(), vector)
