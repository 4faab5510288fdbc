"""What is compiled says the same as what it stands for, written plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fusion_scenes import camera, straight, topology, tracklet

from mtmct.coincidence import CommitPairs, PairRows, PairWindow, compare, position_llr
from mtmct.evidence import Judge
from mtmct.exemplars import Exemplars, Impression, alike, occasions, repeated
from mtmct.fits import Samples
from mtmct.identities import IdentityBook
from mtmct.movement import transitions
from mtmct.questions import Questions
from mtmct.settings import AppearanceCalibration, FusionSettings
from mtmct.subjects import Subject
from mtmct.tracks import TrackMemory
from operators.records import SECOND_NS

SETTINGS = FusionSettings(appearance=AppearanceCalibration(12.0, -6.0, 5.0))
WHERE = topology(camera("a"), camera("b", 10))


def a_site(seed: int) -> tuple[TrackMemory, IdentityBook, list]:
    """Identities with several tracks, some of them past, and tracks that wait; looks that are partly alike."""
    dice = np.random.default_rng(seed)
    people = dice.normal(size=(5, 16))
    memory = TrackMemory()
    book = IdentityBook("plaza", memory, SETTINGS)
    for number in range(1, 21):
        start = float(dice.uniform(0, 20))
        name = "ab"[int(dice.integers(2))]
        path = straight(*dice.uniform(1, 9, 2), *dice.uniform(-1, 1, 2))
        memory.take([tracklet(name, number, path, start, start + 2)], WHERE, SETTINGS)
        track = memory.find(name, number)
        vectors = people[number % 5] + 0.4 * dice.normal(size=(3, 16))
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        if dice.random() < 0.9:
            track.looks = track.looks.with_more(vectors, dice.uniform(0.2, 1, 3).astype(np.float32), 2)
    tracks = list(memory.tracks.values())
    for track in tracks[:12]:
        if track.track <= 4:
            book.create(track, SECOND_NS)
        else:
            book.join(track, book[1 + track.track % 4], SECOND_NS)
    for track in tracks[4:7]:
        book.forget([track])
        memory.forget(track.uid)
    return memory, book, tracks[12:]


@pytest.mark.parametrize("seed", range(4))
def test_looks_say_for_all_pairs_at_once_what_they_say_one_by_one(seed):
    _, book, waiting = a_site(seed)
    judge = Judge(book, PairWindow(SETTINGS), WHERE, SETTINGS, 30 * SECOND_NS)
    known = list(book.identities.values())
    subjects = [Subject.of_track(track) for track in waiting] + [Subject.of_identity(known[0], book)]
    asked = Questions.of([(subject, known) for subject in subjects], book)
    said = judge.resemblances(asked, frozenset()).reshape(-1, len(known))
    for subject, row in zip(subjects, said, strict=True):
        past = subject.identity.impression if subject.identity else Impression()
        kept = subject.identity.looks if subject.identity else Exemplars()
        mine = past.with_looks([track.looks for track in subject.tracks])
        once = occasions([track.looks for track in subject.tracks], kept)
        family = [[track.looks for track in book.tracks_of(one)] for one in known]
        means, gains = alike(mine, [one.impression.with_looks(f) for one, f in zip(known, family, strict=True)])
        seen = repeated(
            once, [occasions(f, one.looks) for one, f in zip(known, family, strict=True)], SETTINGS.appearance
        )
        for mean, gain, single, found in zip(means, gains, seen, row, strict=True):
            if not math.isfinite(mean):
                assert math.isnan(found)
                continue
            together = SETTINGS.appearance.llr(mean, gain)
            if math.isfinite(single):
                together = min(float(np.logaddexp(together, single)) - math.log(2), SETTINGS.appearance.clip)
            assert found == pytest.approx(together, abs=2e-5)


@pytest.mark.parametrize("seed", range(4))
def test_what_gaps_say_is_the_same_for_all_pairs_at_once(seed):
    _, book, waiting = a_site(seed)
    judge = Judge(book, PairWindow(SETTINGS), WHERE, SETTINGS, 30 * SECOND_NS)
    known = list(book.identities.values())
    scores = judge.all_scores([(Subject.of_track(track), known) for track in waiting])
    seen = 0
    for track, row in zip(waiting, scores, strict=True):
        for one, score in zip(known, row, strict=True):
            if "motion" in score.terms:
                rivals = max(SETTINGS.least_rivals, len(book))
                assert score.terms["motion"] == transitions(track, track, book.tracks_of(one), rivals, SETTINGS)
                assert score.total == round(sum(score.terms.values()), 6)
                seen += 1
    assert seen


def test_columns_follow_whoever_is_moved_cut_merged_and_forgotten():
    memory, book, waiting = a_site(0)
    columns = book.people

    def check() -> None:
        table = book.track_table()
        for uid, track in memory.tracks.items():
            row = memory.columns.rows[uid]
            assert (table.uid[row], table.last_ns[row], table.identity[row]) == (uid, track.last_ns, track.identity)
            assert table.ended[row] == track.ended and (table.told[row] > 0) == (track.look_count > 0)
        for one in book.identities.values():
            (slot,) = book.slots(np.array([one.number])).tolist()
            people = columns.table()
            at = people.rows_at[slot]
            assert table.uid[people.rows[at : at + people.rows_count[slot]]].tolist() == one.uids
            assert (people.past_count[slot], people.kept_count[slot]) == (len(one.past), len(one.looks))

    check()
    part = memory.cut(waiting[0], waiting[0].start_ns + SECOND_NS)
    book.join(part, book[2], SECOND_NS)
    waiting[1].ended = True
    check()
    mine = book.tracks_of(book[2])[0]
    book.forget([mine])
    memory.forget(mine.uid)
    check()
    book.identities.pop(3)
    columns.tidy(book.identities)
    check()


def positions(dice: np.random.Generator) -> tuple[Samples, np.ndarray]:
    """Of 30 tracks in four slots, in no order of their uids, one of them beyond any site."""
    uids = np.repeat(dice.permutation(30) + 1, 4)
    slots = np.tile(np.arange(4), 30) + 100
    points = np.repeat(dice.uniform(0, 40, (30, 2)), 4, axis=0) + dice.normal(0, 0.5, (120, 2))
    points[8:12] += 1e7
    spread = dice.uniform(0.2, 2.0, 120)
    keep = dice.random(120) < 0.8
    covariances = np.stack([spread, 0.1 * spread, spread], axis=1)
    return Samples(uids[keep], slots[keep], points[keep], covariances[keep]), (uids[keep] % 5).astype(np.int64)


@pytest.mark.parametrize("seed", range(5))
def test_positions_are_compared_as_if_each_were_compared_with_each(seed):
    dice = np.random.default_rng(seed)
    samples, cameras = positions(dice)
    bound = np.array([[1, 2], [3, 9], [4, 40]], np.int64)
    fresh = dice.random(len(samples)) < 0.7
    found = compare(samples, cameras, bound, SETTINGS, fresh)
    said: dict[tuple[int, int], list[tuple[float, float]]] = {}
    order = np.lexsort((samples.slots, samples.uids))
    for one in order:
        for other in order:
            pair = (int(samples.uids[one]), int(samples.uids[other]))
            same_time = samples.slots[one] == samples.slots[other] and (fresh[one] or fresh[other])
            if (
                not same_time
                or pair[0] >= pair[1]
                or (cameras[one] == cameras[other] and list(pair) not in bound.tolist())
            ):
                continue
            delta = samples.points[one] - samples.points[other]
            far = float(np.hypot(*delta))
            if (far <= SETTINGS.near_m and np.abs(samples.points[one]).max() < 1e5) or list(pair) in bound.tolist():
                spread = samples.covariances[one] + samples.covariances[other]
                llr = float(position_llr(delta[None], spread[None], SETTINGS)[0])
                said.setdefault(pair, []).append((llr, far))
    assert [tuple(pair) for pair in found.pairs.tolist()] == sorted(said)
    columns = (found.pairs.tolist(), found.slots.tolist(), found.llr.tolist(), found.distance.tolist())
    for pair, slots, llr, distance in zip(*columns, strict=True):
        of_pair = said[pair[0], pair[1]]
        assert slots == len(of_pair)
        assert (llr, distance) == pytest.approx(tuple(map(sum, zip(*of_pair, strict=True))))


def rows(dice: np.random.Generator) -> PairRows:
    pairs = np.unique(np.sort(dice.integers(1, 12, (25, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].astype(np.int64)
    return PairRows(
        pairs, dice.integers(1, 5, len(pairs)), dice.normal(size=len(pairs)), dice.uniform(0, 9, len(pairs))
    )


def window(dice: np.random.Generator, commits: int) -> PairWindow:
    made = PairWindow(SETTINGS)
    for n in range(commits):
        made.add(CommitPairs(n + 1, n * SECOND_NS, (n + 1) * SECOND_NS, rows(dice)))
    return made


@pytest.mark.parametrize("commits", [1, 4, 12])
def test_the_window_sums_every_pair_both_ways(commits):
    made = window(np.random.default_rng(commits), commits)
    total: dict[tuple[int, int], np.ndarray] = {}
    for commit in made.commits:
        late = commit.time_ns > commits * SECOND_NS - 3 * SECOND_NS
        for row, (one, other) in enumerate(commit.rows.pairs.tolist()):
            slots, llr, far = (float(part[row]) for part in (commit.rows.slots, commit.rows.llr, commit.rows.distance))
            said = np.array([slots, llr, slots * late, llr * late, far * late])
            for pair in ((one, other), (other, one)):
                total[pair] = total.get(pair, 0) + said
    seen = {}
    for uid in range(1, 12):
        assert made.partners(uid) == sorted(made.of(uid))
        seen |= {(uid, other): said for other, said in made.of(uid).items()}
    assert sorted(seen) == sorted(total)
    for pair, said in seen.items():
        slots, llr, late_slots, late_llr, far = total[pair]
        assert said.llr == pytest.approx(llr / slots * max(1, slots * 0.25))
        assert said.recent == pytest.approx(late_llr / max(late_slots, 1) * max(1, late_slots * 0.25))
        assert said.distance == pytest.approx(far / late_slots if late_slots else math.nan, nan_ok=True)


def test_what_was_compared_of_a_track_is_anothers_from_a_cut_on():
    made = window(np.random.default_rng(7), 6)
    before = [commit.rows for commit in made.commits]
    assert len(made.table.partners), "so that it is brought up to date, and not summed afresh"
    made.hand_over([(3, 21, 2 * SECOND_NS), (5, 20, 4 * SECOND_NS)])
    for commit, old in zip(made.commits, before, strict=True):
        names = {3: 21} if commit.since_ns >= 2 * SECOND_NS else {}
        names |= {5: 20} if commit.since_ns >= 4 * SECOND_NS else {}
        wanted = sorted(
            (*sorted(names.get(uid, uid) for uid in pair), *said)
            for pair, *said in zip(old.pairs.tolist(), old.slots.tolist(), old.llr.tolist(), strict=True)
        )
        now = commit.rows
        columns = (now.pairs.tolist(), now.slots.tolist(), now.llr.tolist())
        found = [(*pair, *said) for pair, *said in zip(*columns, strict=True)]
        assert found == wanted
    afresh = PairWindow(SETTINGS)
    for commit in made.commits:
        afresh.add(commit)
    for uid in (*range(1, 12), 20, 21):
        assert repr(made.of(uid)) == repr(afresh.of(uid)), "to the last bit, and with NaN where there is none"
    assert made.of(20) and made.of(21)
