"""What identities looked like that are closed: for who is searched by a picture, never for linking.

    fusion/closed/<number>    looks of a closed identity, and when it was last seen

An identity is kept for `searchable_s` after it was seen last. Those that were open when the site ended stay until
somebody erases them or removes the ledger: there is no event time any more that could pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mtmct import state as stored
from mtmct.exemplars import Exemplars
from mtmct.identity import Identity

CLOSED = stored.PREFIX + "closed/"


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed identity: its number, event time of its last point, what it looked like."""

    number: int
    last_ns: int
    looks: Exemplars


class Album:
    """The closed identities that can still be found by what they looked like."""

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        kept = (unpack_closed(key, data) for key, data in (state or {}).items() if key.startswith(CLOSED))
        self._last_ns = {closed.number: closed.last_ns for closed in kept}

    def keep(self, identity: Identity, journal: stored.Journal) -> None:
        """Put an identity in that is being closed, once its tracks are forgotten; one without looks stays out."""
        if len(identity.looks):
            self._last_ns[identity.number] = identity.last_ns
            value = {"number": identity.number, "last": identity.last_ns, **stored.pack_looks(identity.looks)}
            journal.put(closed_key(identity.number), stored.packed(value))

    def forget(self, before_ns: int, journal: stored.Journal) -> None:
        """Drop who has not been seen since."""
        for number in sorted(number for number, last_ns in self._last_ns.items() if last_ns < before_ns):
            del self._last_ns[number]
            journal.drop(closed_key(number))


def closed_key(number: int) -> str:
    """Where a closed identity is kept."""
    return f"{CLOSED}{number:06d}"


def unpack_closed(key: str, data: bytes) -> Closed:
    """What `Album.keep` wrote."""
    value = stored.unpacked(key, data)
    return Closed(value["number"], value["last"], stored.unpack_looks(value))
