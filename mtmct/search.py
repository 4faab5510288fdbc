"""Who looks like this? Query by example over the identities that are open, and those whose looks are still kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mtmct import state as stored
from mtmct.album import CLOSED, unpack_closed
from mtmct.exemplars import Exemplars
from mtmct.settings import AppearanceCalibration
from mtmct.stored_tracks import unpack_track
from operators.records import CrosscamError, Float32, Int64


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
        open: it can still be linked; false: it is closed.
    """

    number: int
    cosine: float
    score: float
    open: bool = True


class Lookbook:
    """All looks in a state, unpacked.

    Args:
        state: all its keys.
        before: of an earlier state of the same site: what is the same in both is not unpacked again.

    Raises:
        StateError: the state is damaged or of another version.
    """

    def __init__(self, state: Mapping[str, bytes], before: Lookbook | None = None) -> None:
        known = {} if before is None else before._pages
        self._pages: dict[str, _Page] = {}
        for key in sorted(state):
            page = known.get(key)
            if page is None or page.stored != state[key]:
                page = _page(key, state[key])
            if page is not None:
                self._pages[key] = page
        self._open = frozenset(key for key in self._pages if key.startswith(stored.IDENTITY))
        self._looks = _together(self._pages.values())

    @property
    def looks(self) -> _Looks:
        """All vectors, by identity."""
        return self._looks

    def is_open(self, number: int) -> bool:
        """Whether an identity can still be linked."""
        return stored.identity_key(number) in self._open


def search(
    source: Remembering | Mapping[str, bytes] | Lookbook,
    vector: Float32,
    k: int = 10,
    calibration: AppearanceCalibration | None = None,
) -> list[Found]:
    """The `k` identities most like an example, best first; of equals the older one.

    Every look that is kept of every identity is compared, so nobody is missed who has left the gallery's shortlists:
    of all that are open, and of the closed ones in the album (see `mtmct.album`). Who is merged, retracted or erased
    is in no state and so is never found.

    Args:
        source: an engine, all keys of its stored state, or these unpacked: for many questions to one state.
        vector: (D,) float32, an embedding by the site's own model; its length does not matter.
        k: identities to return at most.
        calibration: of that model; fusion's own default if None.

    Raises:
        SearchError: the vector is not finite, is zero, or is not of the site's dimension.
        StateError: the state is damaged or of another version.
    """
    book = _book(source)
    query = np.asarray(vector, np.float32)
    norm = float(np.linalg.norm(query))
    if query.ndim != 1 or not np.isfinite(norm) or norm == 0:
        raise SearchError(f"the example is not one finite vector other than zero (its shape is {list(query.shape)})")
    kept = book.looks
    if kept.numbers and kept.vectors.shape[1] != len(query):
        raise SearchError(
            f"the example has {len(query)} numbers, the embeddings of this site {kept.vectors.shape[1]}: embed it with "
            "the model that the site uses"
        )
    return _nearest(kept, (query / norm)[None], k, calibration, book)


def search_identity(
    source: Remembering | Mapping[str, bytes] | Lookbook,
    number: int,
    k: int = 10,
    calibration: AppearanceCalibration | None = None,
) -> list[Found]:
    """Who else looks like an identity? Like `search`, by the best pair of looks; the identity itself is left out.

    Raises:
        SearchError: nothing is kept of what the identity looks like.
        StateError: the state is damaged or of another version.
    """
    book = _book(source)
    kept = book.looks
    if number not in kept.numbers:
        raise SearchError(
            f"nothing is kept of what identity number {number} looks like: it is unknown, was merged or erased or has "
            "been closed for too long (fusion: searchable), or the site has no embeddings"
        )
    mine = kept.vectors[kept.owners == kept.numbers.index(number)]
    return [one for one in _nearest(kept, mine, k + 1, calibration, book) if one.number != number][:k]


@dataclass(frozen=True, slots=True)
class _Page:
    """One key of a state: whose looks it holds."""

    stored: bytes
    number: int
    looks: Exemplars


@dataclass(frozen=True, slots=True)
class _Looks:
    """All looks in a state: (L, D) float32 vectors, the row of its owner in `numbers` for each, ascending."""

    numbers: list[int]
    owners: Int64
    vectors: Float32


def _nearest(
    kept: _Looks, queries: Float32, k: int, calibration: AppearanceCalibration | None, book: Lookbook
) -> list[Found]:
    if not kept.numbers or k < 1:
        return []
    cosines = (queries @ kept.vectors.T).astype(np.float64).max(axis=0)
    best = np.maximum.reduceat(cosines, np.searchsorted(kept.owners, np.arange(len(kept.numbers))))
    calibration = calibration or AppearanceCalibration()
    found = []
    for row in np.argsort(-best, kind="stable")[:k].tolist():
        number, cosine = kept.numbers[row], float(best[row])
        found.append(Found(number, cosine, calibration.llr(cosine), open=book.is_open(number)))
    return found


def _book(source: Remembering | Mapping[str, bytes] | Lookbook) -> Lookbook:
    if isinstance(source, Lookbook):
        return source
    return Lookbook(source if isinstance(source, Mapping) else source.snapshot())


def _page(key: str, data: bytes) -> _Page | None:
    if key.startswith(stored.IDENTITY):
        identity = stored.unpack_identity(key, data)
        return _Page(data, identity.number, identity.looks)
    if key.startswith(CLOSED):
        closed = unpack_closed(key, data)
        return _Page(data, closed.number, closed.looks)
    if key.startswith(stored.TRACK):
        track = unpack_track(key, data)
        return _Page(data, track.identity, track.looks) if track.identity else None
    return None


def _together(pages: Iterable[_Page]) -> _Looks:
    kept: dict[int, list[Exemplars]] = {}
    for page in pages:
        kept.setdefault(page.number, []).append(page.looks)
    vectors = {
        number: [looks.vectors for looks in kept[number] if len(looks)]
        for number in sorted(kept)
        if any(len(looks) for looks in kept[number])
    }
    if not vectors:
        return _Looks([], np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    per_identity = [np.concatenate(each) for each in vectors.values()]
    owners = np.repeat(np.arange(len(per_identity)), [len(each) for each in per_identity])
    return _Looks(list(vectors), owners, np.concatenate(per_identity))
