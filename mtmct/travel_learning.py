"""What ended tracks say of the times between views, shared out over all that it may mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmct.association import Candidates
from mtmct.evidence import Judge
from mtmct.identities import IdentityBook
from mtmct.subjects import Subject
from mtmct.tracks import LocalTrack
from mtmct.travel import TravelTimes


def learn(
    travel: TravelTimes, done: Sequence[LocalTrack], book: IdentityBook, candidates: Candidates, judge: Judge
) -> None:
    """Tell `travel` where the tracks `done` may have come from, each identity by its share of the evidence."""
    candidates.look_up(done)
    found = []
    for track in sorted(done, key=lambda track: (track.start_ns, track.uid)):
        subject, without = Subject.of_track(track), frozenset({track.uid})
        offered = candidates.of(track)
        if book[track.identity] not in offered:
            offered.append(book[track.identity])
        offered = [one for one in offered if one.uids != [track.uid] or one.past]
        totals = np.array([0.0, *(score.total for score in judge.scores(subject, offered, without))])
        shares = np.exp(totals - np.logaddexp.reduce(totals))
        stays = judge.travellers(subject, offered, without)
        before = [(stay, share) for stay, share in zip(stays, shares[1:].tolist(), strict=True) if stay is not None]
        found.append((track.stay, before, float(shares[0])))
    for stay, before, fresh in found:
        travel.arrived(stay, before, fresh)
        travel.left(stay)
