"""What is said of a track before it is decided: a guess, marked as one, so that nobody has to wait for an identity.

A new track is decided once there is enough evidence, or after `max_wait_s` (see `FusionEngine`). Until then its
tracklets are either held back, or published under a guess and marked `provisional`: the identity that is more likely
than all others and a new arrival together, or else a number of its own. Guesses are never taken back for another
guess, they teach identities nothing, and no decision depends on them; so a track changes its name at most once on
its way to a decision, and decides the same in either way of publication.

Holding back is the default. On two simulated sites (4 cameras, 8 people, 2 minutes, rank-1 0.7; fusion_parity.py in
tests/benchmarks) guessing brought the median time to the right identity from 0.8 to 0.2 s and from 0.6 to 0.5 s, and
the 90th percentile from 2.1 to 0.9 s and from 1.4 to 0.9 s. It took 5 corrections instead of 4, and 9 instead of 4:
worth it for a display that has to be quick, not for a consumer that acts on what it reads.

    fusion/guesses    the waiting tracks that have been published, and as whom
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from mtmct import state as stored
from mtmct.assignment import answers, assign
from mtmct.association import Candidates
from mtmct.evidence import Judge
from mtmct.identities import IdentityBook
from mtmct.publication import Link
from mtmct.questions import Questions
from mtmct.tracks import LocalTrack, in_order

GUESSES = stored.PREFIX + "guesses"


def guess(tracks: Sequence[LocalTrack], candidates: Candidates, judge: Judge, book: IdentityBook) -> dict[int, Link]:
    """Guess who these waiting tracks are and note it in the book; why, by uid."""
    links: dict[int, Link] = {}
    candidates.look_up(tracks)
    for _, together in groupby(in_order(tracks), key=lambda track: track.camera):
        group = list(together)
        bounds, numbers = candidates.all_of(group)
        rows = np.array([book.columns.rows[track.uid] for track in group], np.int64)
        scored = judge.scored(Questions.of_tracks(rows, bounds, numbers, book.slots(numbers)))
        verdicts = assign(answers(bounds, numbers, scored), judge)
        for track, verdict in zip(group, verdicts, strict=True):
            if verdict.identity is not None and verdict.odds > 0:
                number, score = verdict.identity, verdict.score
                previous = book.latest(book[number])
                links[track.uid] = Link(previous, score.total, score.terms, verdict.runner_up)
            else:
                number = book.reserve()
                links[track.uid] = Link(None, 0.0, {}, verdict.runner_up)
            book.guesses[track.uid] = number
    return links


def write(guesses: Mapping[int, int], journal: stored.Journal) -> None:
    """Keep the guesses in the state."""
    if guesses:
        journal.put(GUESSES, pack_guesses(guesses))
    else:
        journal.drop(GUESSES)


def pack_guesses(guesses: Mapping[int, int]) -> bytes:
    """The numbers under which waiting tracks (by uid) have been published."""
    return stored.packed({"guesses": [[uid, guesses[uid]] for uid in sorted(guesses)]})


def read_guesses(state: Mapping[str, bytes]) -> dict[int, int]:
    """What `write` kept; empty where nothing waits."""
    if GUESSES not in state:
        return {}
    return dict(stored.unpacked(GUESSES, state[GUESSES])["guesses"])
