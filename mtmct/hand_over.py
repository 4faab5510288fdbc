"""What two identities that turn out to be one had at the same time in the same camera: nobody's.

An identity is never two tracks of one camera at once. Where two that are joined overlap for a moment (see
`mtmct.exclusion`), the track that is over first had gone over to somebody else by the time that the other began: its
end is taken from it and published as noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mtmct.identities import IdentityBook
from mtmct.identity import Identity, Moment


def shared_moments(
    book: IdentityBook, one: Identity, other: Identity, grain_ns: int, ahead_ns: Mapping[str, int]
) -> list[Moment]:
    """The ends of tracks that have to be given up before two identities are one, by camera, then time.

    Tracks are taken apart between tracklets: what is given up begins by `grain_ns` (the longest tracklet) before the
    other track does, so that no picture is left that shows both. `ahead_ns` says of which cameras
    the clocks are ahead, and by how much.
    """
    given_up: dict[tuple[str, int, int], Moment] = {}
    of_other: dict[str, list[Moment]] = {}
    for theirs in _spans(book, other, ahead_ns):
        of_other.setdefault(theirs.camera, []).append(theirs)
    for mine in _spans(book, one, ahead_ns):
        for theirs in of_other.get(mine.camera, ()):
            if mine.end_ns < theirs.start_ns or theirs.end_ns < mine.start_ns:
                continue
            over, begun = (theirs, mine) if mine.end_ns > theirs.end_ns else (mine, theirs)
            key = (over.camera, over.start_ns, over.track)
            since_ns = min(begun.start_ns - grain_ns, given_up[key].since_ns if key in given_up else over.end_ns)
            given_up[key] = replace(over, since_ns=since_ns)
    return [given_up[key] for key in sorted(given_up)]


def _spans(book: IdentityBook, identity: Identity, ahead_ns: Mapping[str, int]) -> list[Moment]:
    """The tracks of an identity, from their beginning on."""
    past = [(one.camera, one.track, 0, one.start_ns, one.end_ns) for one in identity.past]
    tracks = [(one.camera, one.track, one.uid, one.start_ns, one.last_ns) for one in book.tracks_of(identity)]
    return [
        Moment(camera, track, uid, start_ns, start_ns, end_ns, ahead_ns.get(camera, 0))
        for camera, track, uid, start_ns, end_ns in past + tracks
    ]
