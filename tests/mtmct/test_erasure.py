from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fusion_scenes import camera, events, look, play, records, script, straight, topology

from mtmct import state as stored
from mtmct.album import CLOSED
from mtmct.corrections import IdentityResolver
from mtmct.erasure import ERASED, ErasureError
from mtmct.exemplars import Exemplars
from mtmct.fusion import FusionEngine
from mtmct.search import search
from mtmct.settings import FusionSettings
from mtmct.stored_tracks import unpack_track
from operators.records import SECOND_NS

ORIGINS = {"a": (0.0, 0.0), "b": (10.0, 0.0)}
NOW = 8 * SECOND_NS


def engine() -> FusionEngine:
    return FusionEngine("plaza", topology(camera("a"), camera("b", 10)))


def two_people() -> list:
    """Two who walk about both cameras; both are in view at second 8, and back with a new track at second 14."""
    walks = {}
    for person, row in ((1, 2.0), (2, 8.0)):
        path = straight(11, row, 0.5)
        walks["a", person] = {"path": path, "start": 0, "end": 12, "look": look(person)}
        walks["b", person] = {"path": path, "start": 3, "end": 12, "look": look(person)}
        walks["a", person + 2] = {"path": straight(12, row), "start": 14, "end": 20, "look": look(person)}
    return script(walks, ORIGINS, 21)


def half_way() -> tuple[FusionEngine, list, list]:
    """An engine at second 8, what it has committed and the steps to come."""
    steps = two_people()
    running = engine()
    commits = play(running, steps[:8])
    assert len(search(running, look(1), 5)) == 2, "both are known"
    return running, commits, steps[8:]


def applied(state: dict[str, bytes], commit) -> dict[str, bytes]:
    after = {**state, **commit.state}
    return {key: data for key, data in after.items() if data is not None}


def embeddings(state: dict[str, bytes]) -> list[np.ndarray]:
    """Every embedding in a state, wherever it is kept."""
    found = []
    for key, data in state.items():
        if key.startswith(stored.GALLERY):
            found += list(stored.unpack_gallery(key, data)[2])
        elif key.startswith(stored.TRACK):
            found += list(unpack_track(key, data).looks.vectors)
        elif key.startswith((stored.IDENTITY, CLOSED)):
            value = stored.unpacked(key, data)
            found += list(Exemplars(value["sums"], value["weights"]).vectors)
    return found


def test_nothing_that_is_stored_holds_the_embeddings_any_more():
    running, _, _ = half_way()
    before = running.snapshot()
    kept = [vector for vector in embeddings(before) if vector @ look(1) > 0.9]
    assert len(kept) >= 3, "the gallery and both tracks have them"
    secrets = {vector.tobytes() for vector in kept} | {look(1).tobytes()}
    tracks = [unpack_track(key, data) for key, data in before.items() if key.startswith(stored.TRACK)]
    sums = [track.looks.sums for track in tracks]
    secrets |= {row.tobytes() for each in sums for row in each if row @ look(1) > 0.9 * np.linalg.norm(row)}
    assert any(secret in data for secret in secrets for data in before.values()), "bytes can be found as they are"

    commit = running.erase(1, NOW)

    after = running.snapshot()
    assert after == applied(before, commit), "the commit carries the whole change"
    assert not any(secret in data for secret in secrets for data in after.values())
    assert not any(vector @ look(1) > 0.9 for vector in embeddings(after))
    assert any(vector @ look(2) > 0.9 for vector in embeddings(after)), "others are still known"
    assert stored.identity_key(1) not in after


def test_a_tombstone_is_published_and_consumers_drop_the_tracks():
    running, commits, _ = half_way()
    commit = running.erase(1, NOW)
    (tombstone,) = records([commit], "identities")
    assert (tombstone["event"], tombstone["identity"], tombstone["class"]) == ("retracted", "plaza-000001", "person")
    assert tombstone["tracks"] == [["a", 1], ["b", 1]] and tombstone["cameras"] == ["a", "b"]
    assert tombstone["revision"] == 1 and tombstone["time"] == NOW // 1000
    assert commit.watermark_ns == NOW
    resolver = IdentityResolver()
    for value in records([*commits, commit], "identities"):
        resolver.apply(value)
    for value in records(commits, "tracks"):
        resolver.published(value)
    assert [resolver.identity_of("a", 1), resolver.identity_of("b", 1), resolver.identity_of("a", 2)] == [None, None, 2]


def test_nothing_is_linked_to_the_erased_again_and_tracks_that_go_on_stay_silent():
    running, _, rest = half_way()
    running.erase(1, NOW)
    later = play(running, rest)
    published = {(value["camera"], value["track"]): value["number"] for value in records(later, "tracks")}
    assert ("a", 1) not in published and ("b", 1) not in published
    assert published["a", 2] == 2 and published["b", 2] == 2, "others go on"
    assert published["a", 3] == 3, "who comes back is somebody new"
    assert published["a", 4] == 2, "others are recognised when they come back"
    assert ("created", 3) in events(later) and 1 not in {number for _, number in events(later)}
    assert not any(key.startswith(ERASED) for key in running.snapshot()), "no trace is left once the tracks ended"


def test_the_example_no_longer_finds_the_erased():
    running, _, _ = half_way()
    assert search(running, look(1), 1)[0].number == 1
    running.erase(1, NOW)
    assert [found.number for found in search(running, look(1), 5)] == [2]


def test_an_erased_track_of_a_camera_whose_clock_is_minutes_behind_stays_silent():
    def behind(batch):
        late = [replace(one, times_ns=one.times_ns - 120 * SECOND_NS) for one in batch.tracklets]
        return replace(batch, tracklets=late) if batch.camera == "a" else batch

    walks = {("a", track): {"path": straight(1, row, 0.1), "start": 0, "end": 60, "look": look(track)}
             for track, row in ((1, 2.0), (2, 8.0))}  # fmt: skip
    steps = [(watermark, [behind(batch) for batch in batches]) for watermark, batches in script(walks, ORIGINS, 60)]
    running = FusionEngine("plaza", topology(camera("a"), camera("b", 10)), FusionSettings(clock_skew="apply"))
    running._memory.set_clocks({"a": -120 * SECOND_NS})  # as it has been found to be
    play(running, steps[:8])
    running.erase(1, NOW)
    assert {value["track"] for value in records(play(running, steps[8:]), "tracks")} == {2}


def test_an_erased_track_that_comes_without_its_times_is_left_out_like_any_other():
    running, _, ((watermark, batches), *rest) = half_way()
    running.erase(1, NOW)
    maimed = [replace(batch, tracklets=[replace(one, times_ns=one.times_ns[:0]) if one.track == 1 else one
                                        for one in batch.tracklets]) for batch in batches]  # fmt: skip
    commits = [running.advance(maimed, watermark), *play(running, rest)]
    assert {value["track"] for value in records(commits, "tracks")} == {2, 3, 4} and not records(commits, "deadletter")


def test_an_engine_restored_after_an_erasure_goes_on_as_the_one_that_never_stopped():
    running, _, rest = half_way()
    before = running.snapshot()
    restored = engine()
    restored.restore(applied(before, running.erase(1, NOW)))
    assert play(restored, rest) == play(running, rest)
    assert restored.snapshot() == running.snapshot()


def test_erasing_somebody_without_looks_or_twice_does_no_harm():
    walks = {("a", 1): {"path": straight(3, 3), "start": 0, "end": 5}}
    running = engine()
    play(running, script(walks, ORIGINS, 6)[:4])
    assert [value["event"] for value in records([running.erase(1, NOW)], "identities")] == ["retracted"]
    again = running.erase(1, NOW)
    assert again.records == (), "there is nobody left to retract"


def test_what_the_gallery_still_holds_of_closed_identities_goes_with_any_erasure():
    running = engine()
    play(running, two_people())
    assert any(vector @ look(2) > 0.9 for vector in embeddings(running.snapshot()))
    assert running.erase(2, NOW).records == ()
    assert not any(vector @ look(2) > 0.9 for vector in embeddings(running.snapshot()))
    assert any(vector @ look(1) > 0.9 for vector in embeddings(running.snapshot())), "others are kept"


def test_the_tombstone_of_a_closed_identity_is_made_from_what_was_said_last():
    running = engine()
    commits = play(running, two_people())
    last = [value for value in records(commits, "identities") if value["number"] == 2][-1]
    assert last["event"] == "closed"
    (tombstone,) = records([running.erase(2, 21 * SECOND_NS, last)], "identities")
    assert (tombstone["event"], tombstone["revision"]) == ("retracted", last["revision"] + 1)
    assert tombstone["tracks"] == last["tracks"] and tombstone["time"] == 21_000_000


def test_the_erased_with_a_track_that_falls_silent_is_forgotten_in_time():
    walks = {("a", 1): {"path": straight(3, 3), "start": 0, "end": 60, "look": look(1)}}
    steps = script(walks, ORIGINS, 60)
    running = engine()
    play(running, steps[:5])
    running.erase(1, 5 * SECOND_NS)
    assert any(key.startswith(ERASED) for key in running.snapshot())
    for second in range(6, 40):
        running.advance([], second * SECOND_NS)
    assert not any(key.startswith(ERASED) for key in running.snapshot())


@pytest.mark.parametrize("number", [0, 3, -1])
def test_an_identity_that_never_was_cannot_be_erased(number):
    running, _, _ = half_way()
    before = running.snapshot()
    with pytest.raises(ErasureError, match="numbers run from 1 to 2"):
        running.erase(number, NOW)
    assert running.snapshot() == before


def test_positions_shared_with_others_stay_usable_after_an_erasure():
    # Two have just swapped places when a third is erased; their tracks are cut afterwards, at a time when he was there.
    one, other = straight(12, 3), straight(14, 3)
    walks = {
        ("a", 1): {"path": one, "start": 0, "end": 20},
        ("b", 1): {"path": lambda t: (one if t < 6.5 else other)(t), "start": 0, "end": 20},
        ("a", 2): {"path": other, "start": 0, "end": 20},
        ("b", 2): {"path": lambda t: (other if t < 6.5 else one)(t), "start": 0, "end": 20},
        ("a", 3): {"path": straight(13, 3.5), "start": 0, "end": 20},
        ("b", 3): {"path": straight(13, 3.5), "start": 0, "end": 20},
    }
    steps = script(walks, ORIGINS, 21)
    running = engine()
    play(running, steps[:8])
    assert any(key.startswith(stored.PAIRS) for key in running.snapshot())
    running.erase(3, NOW)
    later = play(running, steps[8:])
    assert {(value["camera"], value["track"]) for value in records(later, "tracks")} == {
        (name, track) for name in "ab" for track in (1, 2)
    }
    assert any(event == "split" for event, _ in events(later)), "the cut has been made"
