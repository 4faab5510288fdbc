"""A whole simulated site: what each of its cameras sees and detects at any time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from operators.records import SECOND_NS
from pipeline.sources.simulation.looks import Looks, calibration_for, noise_for
from pipeline.sources.simulation.pinhole import Pinhole
from pipeline.sources.simulation.plan import plan_of
from pipeline.sources.simulation.settings import Settings
from pipeline.sources.simulation.sight import Sight, found, look, shaken
from pipeline.sources.simulation.visits import BLOCK_S, STEP_S, STEPS, Visits

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_EARLIER_S = 3600.0  # the place has been open for so long when the recording begins
_OUTAGE_S = (10.0, 60.0)
_OUTAGE_SLOT_S = 300.0  # at most one outage in each
_BODIES, _CLOCKS, _OUTAGES, _BOXES = 21, 22, 23, 24  # kinds of random numbers
# Class, share of the traffic, half length, half width, height in metres.
_TRAFFIC = (("car", 0.85, 2.2, 0.9, 1.5), ("truck", 0.1, 4.0, 1.2, 3.0), ("bus", 0.05, 5.5, 1.25, 3.1))


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detector says of some frames, one row a box, in order of frames.

    Attributes:
        frames: (N,) row of the frame.
        places: (N,) whose place among the site's people it is; -1: nobody's, a false box.
        people: (N,) the person's number; -1: nobody.
        behind: (N,) the place of whoever hides most of it; -1: nobody.
        boxes: (N, 4) float32 xyxy, pixels.
        scores: (N,) float32.
        kinds: (N,) index into the site's classes.
        embeddings: (N, D) float32; None if the site has none.
    """

    frames: Int64
    places: Int64
    people: Int64
    behind: Int64
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    kinds: Int64
    embeddings: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Truth:
    """Who is to be seen in some frames: a sight, and beside it (N,) people's numbers and class indices."""

    sight: Sight
    people: Int64
    kinds: Int64


class SimulatedSite:
    """All that is simulated, as a function of time.

    Args:
        settings: what the site is; `camera` and what follows it do not matter here.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.plan = plan_of(settings.place, settings.cameras)
        self.visits = Visits(self.plan, settings.people, settings.together, settings.renewal, settings.seed)
        # Of who is there now, not of all who ever came: hours of a site are to take no more memory than its first.
        kept = max(256, 4 * settings.people)
        self._looks = Looks(settings.embedding, self.noise, settings.seed, kept) if settings.embedding else None
        random = np.random.default_rng((settings.seed, _CLOCKS))
        self._skews_ms = np.round(settings.skew * random.normal(size=settings.cameras))
        self._bodies = lru_cache(maxsize=kept)(self._body)

    @property
    def classes(self) -> tuple[str, ...]:
        """What comes to the place."""
        return tuple(kind[0] for kind in _TRAFFIC) if self.plan.habits.vehicles else ("person",)

    @property
    def noise(self) -> float:
        """Of the embeddings, for the rank-1 accuracy that is asked for."""
        settings = self.settings
        return noise_for(settings.rank1, settings.people, settings.cameras, settings.embedding)

    @property
    def calibration(self) -> tuple[float, float] | None:
        """Slope and offset of what cosines of the embeddings say; None without embeddings."""
        return calibration_for(self.noise, self.settings.embedding) if self._looks is not None else None

    def camera(self, number: int) -> Pinhole:
        """A camera by its number, from 1."""
        return Pinhole(self.plan.mounts[number - 1], self.settings.width, self.settings.height)

    def skew_ns(self, number: int) -> int:
        """How far a camera's clock is ahead."""
        return round(float(self._skews_ms[number - 1]) * SECOND_NS / 1000)

    def away(self, number: int, seconds: Float64) -> NDArray[np.bool_]:
        """(T,) whether a camera gives nothing at these times (of the recording)."""
        gone = np.zeros(len(seconds), bool)
        slots = np.floor(seconds / _OUTAGE_SLOT_S).astype(np.int64)
        for slot in np.unique(slots).tolist() if self.settings.outages else ():
            random = np.random.default_rng((self.settings.seed, _OUTAGES, number, slot))
            if random.uniform() < self.settings.outages * _OUTAGE_SLOT_S / 3600:
                length = random.uniform(*_OUTAGE_S)
                begins = slot * _OUTAGE_SLOT_S + random.uniform(0, _OUTAGE_SLOT_S - length)
                gone |= (seconds >= begins) & (seconds < begins + length)
        return gone

    def truth(self, number: int, seconds: Float64) -> Truth:
        """Who is to be seen by a camera at (T,) ascending times by its own clock, within a few seconds."""
        now = seconds + _EARLIER_S - self.skew_ns(number) / SECOND_NS
        camera = self.camera(number)
        places, ground, headings = self._ground(camera, now)
        middle = np.full(len(places), now[len(now) // 2])
        bodies = [self._bodies(person) for person in self.visits.who(places, middle).tolist()]
        sizes = np.array([body[1:] for body in bodies]).reshape(-1, 4)
        sight = look(camera, self.plan, places, ground, headings, sizes)
        people = self.visits.who(sight.places, now[sight.frames])
        kinds = np.array([self._bodies(person)[0] for person in people.tolist()], np.int64)
        return Truth(sight, people, kinds)

    def detect(self, number: int, seconds: Float64, block: int) -> Detected:
        """What a detector makes of it; `block` numbers this stretch of the camera's frames, for its random numbers."""
        return self.detect_in(self.truth(number, seconds), number, seconds, block)

    def detect_in(self, truth: Truth, number: int, seconds: Float64, block: int) -> Detected:
        """The same, where it is known who is to be seen."""
        settings = self.settings
        random = np.random.default_rng((settings.seed, _BOXES, number, block))
        hit = found(truth.sight, settings.missed, random)
        sight, people = truth.sight[hit], truth.people[hit]
        boxes = shaken(sight, seconds[sight.frames], settings.jitter, self.camera(number), number, random)
        scores = np.clip(0.5 + 0.45 * sight.visible + random.normal(0, 0.05, len(sight)), 0.05, 1.0)
        embeddings = None
        if self._looks is not None:
            embeddings = self._looks.of(number, people, self._cycles(number, sight, seconds), random)
        seen = Detected(
            sight.frames,
            sight.places,
            people,
            sight.behind,
            boxes,
            scores.astype(np.float32),
            truth.kinds[hit],
            embeddings,
        )
        return _joined(seen, self._false(number, seconds, random)) if settings.false else seen

    def _cycles(self, number: int, sight: Sight, seconds: Float64) -> Int64:
        now = seconds[sight.frames] + _EARLIER_S - self.skew_ns(number) / SECOND_NS
        return self.visits.cycle(sight.places, now)

    def _ground(self, camera: Pinhole, now: Float64) -> tuple[Int64, Float64, Float64]:
        """Who may be in view: (P,) places, ascending, (P, T, 2) where they are, (P, T) which way they face."""
        first, last = int(now[0] // BLOCK_S), int((now[-1] + STEP_S) // BLOCK_S)
        pieces, holders = [], []
        steps = (now - first * BLOCK_S) / STEP_S
        before = np.minimum(steps.astype(np.int64), (last - first + 1) * STEPS - 2)
        share = (steps - before)[:, None]
        low = np.array([camera.mount.x, camera.mount.y]) - camera.mount.reach
        high = low + 2 * camera.mount.reach
        for district in self.plan.seen_from(camera.mount):
            blocks = [self.visits.block(district, number) for number in range(first, last + 1)]
            way = np.concatenate(blocks, axis=1)
            x, y = way[:, :, 0], way[:, :, 1]
            near = np.any((x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1]), axis=1)
            way = way[near]
            on_the_way = (1 - share) * way[:, before, :2] + share * way[:, before + 1, :2]
            pieces.append(np.concatenate([on_the_way, way[:, before, 2:]], axis=2))
            holders.append(self.visits.at_home(district)[near])
        places = np.concatenate(holders)
        order = np.argsort(places)
        found = np.concatenate(pieces)[order]
        return places[order], found[..., :2], found[..., 2]

    def _false(self, number: int, seconds: Float64, random: np.random.Generator) -> Detected:
        """Boxes on nothing: as large as somebody would be where they stand, there for some frames."""
        camera, mount = self.camera(number), self.camera(number).mount
        span = float(seconds[-1] - seconds[0]) + 1e-9 if len(seconds) > 1 else 0.1
        rate = len(seconds) / span
        lengths = random.geometric(min(1.0, 1 / max(0.4 * rate, 1.0)), random.poisson(self.settings.false * span / 0.4))
        begins = random.integers(0, len(seconds), len(lengths))
        angle = mount.heading + random.uniform(-0.5, 0.5, len(lengths))
        far = random.uniform(4.0, 0.8 * mount.reach, len(lengths))
        feet = np.stack([mount.x + far * np.cos(angle), mount.y + far * np.sin(angle)], axis=1)
        sizes = np.array([self._bodies(-1 - n)[1:] for n in range(len(lengths))]).reshape(-1, 4)
        boxes = camera.boxes(feet, angle, sizes)[0]
        boxes = np.clip(boxes, 0, [camera.width, camera.height] * 2)
        good = (boxes[:, 2:] - boxes[:, :2] >= 4).all(axis=1)
        rows = np.repeat(np.flatnonzero(good), lengths[good])
        frames = np.concatenate([b + np.arange(n) for b, n in zip(begins[good], lengths[good], strict=True)] or [[]])
        kept = frames < len(seconds)
        frames, rows = frames[kept].astype(np.int64), rows[kept]
        nobody = np.full(len(rows), -1)
        return Detected(
            frames,
            nobody,
            nobody,
            nobody,
            boxes[rows].astype(np.float32),
            random.uniform(0.3, 0.7, len(rows)).astype(np.float32),
            np.zeros(len(rows), np.int64),
            None if self._looks is None else self._looks.of_nobody(len(rows), random),
        )

    def _body(self, person: int) -> tuple[int, float, float, float, float]:
        """Class index, half length, half width, height, and base against shoulders of somebody."""
        random = np.random.default_rng((self.settings.seed, _BODIES, abs(person), int(person < 0)))
        if self.plan.habits.vehicles:
            kind = int(random.choice(len(_TRAFFIC), p=[share for _, share, *_ in _TRAFFIC]))
            scale = random.uniform(0.9, 1.1)
            length, width, height = (float(scale) * size for size in _TRAFFIC[kind][2:])
            return kind, length, width, height, 1.0
        return 0, 0.2, 0.2, float(np.clip(random.normal(1.7, 0.1), 1.4, 2.0)), 0.5


def _joined(one: Detected, other: Detected) -> Detected:
    """Both, in order of frames."""
    order = np.argsort(np.concatenate([one.frames, other.frames]), kind="stable")
    return Detected(
        np.concatenate([one.frames, other.frames])[order],
        np.concatenate([one.places, other.places])[order],
        np.concatenate([one.people, other.people])[order],
        np.concatenate([one.behind, other.behind])[order],
        np.concatenate([one.boxes, other.boxes])[order],
        np.concatenate([one.scores, other.scores])[order],
        np.concatenate([one.kinds, other.kinds])[order],
        None
        if one.embeddings is None or other.embeddings is None
        else np.concatenate([one.embeddings, other.embeddings])[order],
    )


@lru_cache(maxsize=8)
def _site(settings: Settings) -> SimulatedSite:
    return SimulatedSite(settings)


def site_of(settings: Settings) -> SimulatedSite:
    """The site; cameras of one process share it, and with it what has been worked out of who is where."""
    own = Settings()
    return _site(
        replace(
            settings,
            camera=1,
            seconds=own.seconds,
            picture=own.picture,
            shown=own.shown,
            tracks=own.tracks,
            paced=own.paced,
        )
    )
