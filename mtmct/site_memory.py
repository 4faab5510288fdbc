"""All that fusion remembers of a site between two commits: its parts, and how they are written down and read again."""

from __future__ import annotations

from collections.abc import Mapping

from mtmct import state as stored
from mtmct.album import Album
from mtmct.clocks import Clocks
from mtmct.coincidence import PairWindow
from mtmct.erasure import ErasedTracks
from mtmct.expiry import Expiry
from mtmct.filing import Filing
from mtmct.forgetting import Forgetting
from mtmct.identities import IdentityBook
from mtmct.keeping import Keeping
from mtmct.outlet import Outlet
from mtmct.positions import Positions
from mtmct.settings import FusionSettings
from mtmct.topology import Topology
from mtmct.tracks import TrackMemory
from mtmct.travel import TravelTimes
from mtmct.travel_news import TravelNews


class SiteMemory:
    """The parts of a site's memory, built so that each knows those it works with.

    Args:
        site: site name, the first part of every identity's name.
        topology: the cameras; those it does not know count as not calibrated.
        settings: beliefs and bounds.
        state: the state to go on from, fusion's keys only; empty for a site that begins.

    Attributes:
        sequence: number of the last commit, 0 before the first.
        now_ns: event time reached.
        dim: dimension of the site's embeddings, 0 as long as there were none.

    Raises:
        StateError: the state is damaged or of another version.
    """

    def __init__(self, site: str, topology: Topology, settings: FusionSettings, state: Mapping[str, bytes]) -> None:
        self.site, self.topology, self.settings = site, topology, settings
        self.journal = stored.Journal(state)
        self.tracks = TrackMemory()
        self.book = IdentityBook(site, self.tracks, settings)
        self.window = PairWindow(settings)
        self.filing = Filing(settings)
        self.travel = TravelTimes(topology.cameras, settings, topology.picture_sizes)
        self.travel_news = TravelNews(site)
        self.clocks = Clocks(site, settings)
        self.outlet = Outlet(self.tracks, self.book, topology, self.journal)
        self.positions = Positions(self.tracks, self.window, self.clocks, self.journal, settings)
        self.erased = ErasedTracks(state)
        self.keeping = Keeping(self.tracks, self.book, self.journal)
        self.expiry = Expiry(self.book)
        self.forgetting = Forgetting(
            self.tracks, self.book, topology, settings, self.expiry, Album(state), self.keeping, self.journal
        )
        self.sequence, self.now_ns, self.dim = 0, 0, 0
        if stored.META in state:
            self._read(state)

    def write(self) -> None:
        """Put what this commit has changed into the journal."""
        journal = self.journal
        journal.put(
            stored.META,
            stored.packed(
                {
                    "sequence": self.sequence,
                    "now": self.now_ns,
                    "dim": self.dim,
                    "uid": self.tracks.next_uid,
                    "number": self.book.next_number,
                    "longest": self.tracks.columns.longest_ns,
                }
            ),
        )
        self.keeping.write()
        for camera in sorted(self.travel.changed):
            journal.put(stored.TRAVEL + camera, stored.packed(self.travel.stored(camera)))
        self.travel.changed.clear()
        self.clocks.write(journal)

    def set_clocks(self, changes: Mapping[str, int]) -> None:
        """Take other corrections of clocks, by camera, ns; compare the positions of the window anew by them."""
        if not changes:
            return
        for camera, ahead_ns in changes.items():
            self.book.retime(camera, self.clocks.ahead_ns.get(camera, 0) - ahead_ns)
            self.tracks.retime(camera, ahead_ns)
            self.keeping.stale_cameras.add(camera)
        self.expiry.note(sorted(self.book.identities))
        self.clocks.set(changes)
        self.positions.compare_anew()

    def _read(self, state: Mapping[str, bytes]) -> None:
        meta = stored.unpacked(stored.META, state[stored.META])
        self.sequence, self.now_ns, self.dim = meta["sequence"], meta["now"], meta["dim"]
        self.tracks.next_uid, self.book.next_number = meta["uid"], meta["number"]
        self.tracks.columns.longest_ns = meta.get("longest", 0)
        self.keeping.read(state)
        self.expiry.note(self.book.identities)

        def of(prefix: str) -> list[tuple[str, bytes]]:
            return [(key, data) for key, data in state.items() if key.startswith(prefix)]

        self.positions.restore(of(stored.PAIRS), of(stored.CUTS))
        self.filing.restore(of(stored.GALLERY))
        for key, data in of(stored.TRAVEL):
            self.travel.restore(stored.unpacked(key, data))
        self.travel_news.restore(state)
        self.clocks.restore(state, self.journal)
        self.set_clocks(self.clocks.dismissed())
