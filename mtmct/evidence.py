"""Is this track that identity? Log-likelihood ratios of appearance, position, motion and class, added up.

Each ratio compares "the same" with "somebody else", in nats. The prior of any one of K known identities is 1/K;
where a position is known it takes the place of that prior, because the density of people, 1/area, is K over the
site's area: so "near enough that few others would fit" and "one of few" are the same currency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtmct.attributes import Population, agreement
from mtmct.coincidence import Beside, PairWindow
from mtmct.exemplars import alike, repeated
from mtmct.identities import Identity, IdentityBook
from mtmct.movement import NEVER, transitions
from mtmct.settings import FusionSettings
from mtmct.subjects import Gathered, Known, Subject, alone_in_each_camera
from mtmct.topology import Topology
from mtmct.tracks import LocalTrack
from mtmct.travel import Stay, TravelTimes
from operators.records import SECOND_NS

_ON_THE_GROUND = ""  # stands for all calibrated cameras together; no camera is called so
_LN2 = math.log(2)
_NEGLIGIBLE = -3.0  # an identity that scores less is no rival to speak of, nats
_PAIR_LIMIT = 12.0  # the most that one pair of tracks may say for an identity, nats


@dataclass(frozen=True, slots=True)
class Score:
    """The sum of the terms, and the terms; minus infinity where a hard rule forbids it."""

    total: float
    terms: dict[str, float]


FORBIDDEN = Score(NEVER, {})


@dataclass(frozen=True, slots=True)
class _Question:
    """A subject, and what does not depend on the candidate.

    Attributes:
        first, last: which of its tracks began first and was seen last.
        identities: numbers of the identities its tracks have, 0 for none.
        grounded: those of its spans in calibrated cameras of which positions are forgotten already.
        rivals: how many open identities it could be.
    """

    subject: Subject
    first: LocalTrack
    last: LocalTrack
    identities: frozenset[int]
    grounded: Sequence[tuple[str, int, int]]
    rivals: int


class Judge:
    """Scores subjects against identities as things stand at one commit.

    Args:
        book: the identities.
        window: simultaneous positions.
        topology: which cameras are calibrated.
        settings: densities, priors and calibrations.
        now_ns: the commit's event time.
        gathered: what an earlier judge of the same commit has gathered.
        travel: times between views; None if they do not count.
        population: how common attributes are; None if they do not count.
    """

    def __init__(
        self,
        book: IdentityBook,
        window: PairWindow,
        topology: Topology,
        settings: FusionSettings,
        now_ns: int,
        gathered: Gathered | None = None,
        travel: TravelTimes | None = None,
        population: Population | None = None,
    ) -> None:
        self._travel = travel
        self._population = population
        self._book = book
        self._window = window
        self._topology = topology
        self._settings = settings
        self._now_ns = now_ns
        self._away: dict[str, int] | None = None
        self._gathered = gathered or Gathered(book)

    def scores(
        self, subject: Subject, candidates: Sequence[Identity], without: frozenset[int] = frozenset()
    ) -> list[Score]:
        """One score a candidate; `without` names uids to be left out of the candidates (a track under review)."""
        gathered = [self._gathered.of(candidate, without) for candidate in candidates]
        allowed = [self._agreement(subject, known) for known in gathered]
        if all(agreement == NEVER for agreement in allowed):
            return [FORBIDDEN] * len(candidates)
        question = self._question(subject)
        found = [
            None if agreement == NEVER else self._terms(question, candidate, known, agreement)
            for candidate, known, agreement in zip(candidates, gathered, allowed, strict=True)
        ]
        possible = [known for known, terms in zip(gathered, found, strict=True) if terms is not None]
        said = iter(self._appearance(subject, possible) if possible else ())
        attributes = iter(self._likeness(subject, possible))
        scores = []
        for terms in found:
            if terms is None:
                scores.append(FORBIDDEN)
                continue
            appearance = next(said)
            if math.isfinite(appearance):
                terms["appearance"] = appearance
            likeness = next(attributes)
            if likeness is not None:
                terms["attributes"] = likeness
            # Rounded, so that a last bit never decides.
            scores.append(Score(round(sum(terms.values()), 6), terms))
        return scores

    def rivalry(self, best: int, rivals: Mapping[int, float], without: frozenset[int] = frozenset()) -> float:
        """How much the other identities speak against the best: the sum of their ratios.

        Two identities of one person do not compete for a track: each counts as far as it is somebody else.

        Args:
            best: number of the best identity.
            rivals: scores of the others by number.
            without: uids to be left out of all.
        """
        serious = [number for number, score in rivals.items() if score > _NEGLIGIBLE]
        total = sum(math.exp(score) for score in rivals.values())
        if not serious:
            return total
        identity, others = self._book[best], [self._book[number] for number in serious]
        if identity.uids and without.isdisjoint(identity.uids):
            mutual = [score.total for score in self.scores(Subject.of_identity(identity, self._book), others, without)]
        else:
            mutual = self._remembered(self._gathered.of(identity, without), others, without)
        for number, score in zip(serious, mutual, strict=True):
            one = 1 / (1 + math.exp(-max(min(score, 30.0), -30.0))) if score != NEVER else 0.0
            total -= one * math.exp(rivals[number])
        return max(total, 0.0)

    def _remembered(self, known: Known, others: Sequence[Identity], without: frozenset[int]) -> list[float]:
        """What looks and whereabouts say for an identity of which no track is in memory being each of others, nats."""
        gathered = [self._gathered.of(other, without) for other in others]
        spans = [(camera, start, end) for camera, times in known.spans.items() for start, end in times]
        subject = Subject(known.cls, known.tracks, spans, known.looks, known.kept, known.earlier)
        said = self._appearance(subject, gathered) if subject.looks else [math.nan] * len(gathered)
        prior = self._settings.returns - math.log(max(len(self._book), 1))
        return [
            NEVER if self._agreement(subject, other) == NEVER else prior + (looks if math.isfinite(looks) else 0.0)
            for other, looks in zip(gathered, said, strict=True)
        ]

    def resembles(self, subject: Subject, candidate: Identity, without: frozenset[int]) -> float:
        """What the looks alone say for a candidate, nats; NaN where there are none to compare."""
        return self._appearance(subject, [self._gathered.of(candidate, without)])[0]

    def _question(self, subject: Subject) -> _Question:
        tracks, settings = subject.tracks, self._settings
        # Longer ago than positions are kept, and for long enough to have been found near somebody.
        latest = self._now_ns - round(settings.window_s * SECOND_NS) - 2 * settings.slot_ns
        return _Question(
            subject,
            min(tracks, key=lambda track: (track.start_ns, track.uid)),
            max(tracks, key=lambda track: (track.last_ns, track.uid)),
            frozenset(track.identity for track in tracks),
            [span for span in subject.spans if span[1] < latest and self._topology.calibrated(span[0])],
            self._rivals(subject),
        )

    def _appearance(self, subject: Subject, candidates: Sequence[Known]) -> list[float]:
        """What the looks say for each candidate, nats; NaN where there are none to compare.

        Half of it is said by the mean looks, half by single occasions: who comes back to a camera in the same light
        looks more like that one time than like the mean of all.
        """
        calibration = self._settings.appearance
        means, gains = alike(subject.looks, [known.looks for known in candidates])
        once = repeated(subject.occasions, [known.occasions for known in candidates], calibration)
        said = []
        for mean, gain, one in zip(means.tolist(), gains.tolist(), once.tolist(), strict=True):
            if not math.isfinite(mean):
                said.append(math.nan)
                continue
            together = calibration.llr(mean, gain)
            if math.isfinite(one):
                together = min(float(np.logaddexp(together, one)) - _LN2, calibration.clip)
            said.append(together)
        return said

    def _likeness(self, subject: Subject, candidates: Sequence[Known]) -> list[float | None]:
        """What the attributes say for each candidate, nats; None where there are none in common."""
        own = subject.attributes if self._population is not None else {}
        if self._population is None or not own:
            return [None] * len(candidates)
        beliefs = self._settings.attributes
        return [agreement(own, known.attributes, self._population, beliefs) for known in candidates]

    def _agreement(self, subject: Subject, known: Known) -> float:
        """What the classes say; never, where these rule it out, or a camera that shows both at once."""
        said = self._settings.class_llr(subject.cls, known.cls)
        return said if said == NEVER or alone_in_each_camera(subject, known) else NEVER

    def _terms(
        self, question: _Question, candidate: Identity, known: Known, agreement: float
    ) -> dict[str, float] | None:
        settings, subject = self._settings, question.subject
        if question.grounded and candidate.number not in question.identities and self._were_apart(question, known):
            return None
        ground, compared, unseen = 0.0, False, False
        for track in subject.tracks:
            start, last = track.start_ns, track.last_ns
            overlapping = [other for other in known.tracks if other.last_ns >= start and last >= other.start_ns]
            beside = self._window.of(track.uid) if overlapping else {}
            for other in overlapping:
                said = self._simultaneous(track, other, beside.get(other.uid))
                if said == NEVER:
                    return None
                if said is None:
                    unseen = unseen or not self._comparable(track, other)
                else:
                    ground, compared = ground + said, True
        terms = {}
        if compared:
            terms["ground"] = ground
        elif unseen:
            terms["overlap"] = settings.unseen_overlap
        if self._travel is not None and not compared and self._timed(self._travel, question.first.camera):
            return self._travelled(self._travel, question, known, agreement)
        rivals = question.rivals
        motion = transitions(question.first, question.last, known.tracks, rivals, settings)
        if motion == NEVER:
            return None
        if motion is not None:
            # What positions seen at the same time say leaves nothing to add for where it came from.
            if not compared:
                terms["motion"] = motion
        elif not compared:
            terms["crowd"] = -math.log(rivals)
        if agreement:
            terms["class"] = agreement
        terms["arrival"] = settings.returns + (0.0 if question.first.at_border else settings.inside)
        return terms

    def _timed(self, travel: TravelTimes, camera: str) -> bool:
        return not self._topology.calibrated(camera) or travel.given(camera)

    def _travelled(
        self, travel: TravelTimes, question: _Question, known: Known, agreement: float
    ) -> dict[str, float] | None:
        """Time in the place of positions: for who comes from a view into one without calibration.

        The rates of coming hold the rivals and the newcomers already. Within one camera the place at which a
        track was lost counts, for as long as it is remembered.
        """
        stays = question.subject.stays
        course = _around(known.course, stays)
        said = travel.joined(stays, course) if course else 0.0
        if said == NEVER:
            return None
        terms = {"travel": said}
        motion = transitions(question.first, question.last, known.tracks, None, self._settings)
        if motion == NEVER and any(stay.camera == stays[0].camera for stay in known.course):
            motion = None
        if motion is not None:
            settings = self._settings
            begun = settings.returns + (0.0 if question.first.at_border else settings.inside)
            terms["motion"] = float(np.logaddexp(said, motion + begun)) - said
        if agreement:
            terms["class"] = agreement
        return terms

    def travellers(
        self, subject: Subject, candidates: Sequence[Identity], without: frozenset[int]
    ) -> list[Stay | None]:
        """Where each candidate was when the subject came: the stay it would have come from."""
        came = subject.stays[0]
        found: list[Stay | None] = []
        for candidate in candidates:
            course = self._gathered.of(candidate, without).course
            before = [stay for stay in course if stay.start_ns <= came.start_ns and stay.camera != came.camera]
            found.append(before[-1] if before else None)
        return found

    def _rivals(self, subject: Subject) -> int:
        """How many open identities the subject could be for all that the cameras show now.

        Whoever is in view of the same camera, or on the ground of a calibrated one while the subject is, too, is
        somebody else unless the positions agree, and then no prior is needed. Where only one or two are away, it
        is not they who come back in two of three cases: newcomers do not become fewer for that.
        """
        if self._away is None:
            self._away = self._presence()
        camera = subject.tracks[0].camera
        away = self._away.get(camera)
        if away is None:
            away = self._away[_ON_THE_GROUND] if self._topology.calibrated(camera) else 0
        return max(self._settings.least_rivals, len(self._book) - away)

    def _presence(self) -> dict[str, int]:
        """How many identities whoever is in a camera cannot be, as they are in view elsewhere or beside it."""
        horizon = self._now_ns - 2 * SECOND_NS
        by_camera: dict[str, set[int]] = {}
        for track in self._book.linked():
            if track.heard_ns >= horizon:
                by_camera.setdefault(track.camera, set()).add(track.identity)
        calibrated = {camera: self._topology.calibrated(camera) for camera in by_camera}
        on_the_ground = set().union(*(seen for camera, seen in by_camera.items() if calibrated[camera]))
        away = {camera: len(on_the_ground if calibrated[camera] else seen) for camera, seen in by_camera.items()}
        return {**away, _ON_THE_GROUND: len(on_the_ground)}

    def _comparable(self, one: LocalTrack, other: LocalTrack) -> bool:
        return self._topology.calibrated(one.camera) and self._topology.calibrated(other.camera)

    def _simultaneous(self, track: LocalTrack, other: LocalTrack, beside: Beside | None) -> float | None:
        """What the common positions of two tracks say; None where there are none to compare."""
        settings = self._settings
        if beside is not None:
            if beside.llr < -settings.split_odds and beside.distance > settings.apart_m:
                return NEVER
            return min(beside.llr, _PAIR_LIMIT)
        if not (self._comparable(track, other) and track.grounded and other.grounded):
            return None
        since = max(track.start_ns, other.start_ns, self._now_ns - round(settings.window_s * SECOND_NS))
        until = min(track.last_ns, other.last_ns)
        # Both were on the ground at once, and yet never near enough to be compared.
        return NEVER if until - since > 2 * settings.slot_ns else None

    def _were_apart(self, question: _Question, known: Known) -> bool:
        """Whether both were on the ground at once, longer ago than positions are kept, and were not found to be one.

        What was seen of the two is forgotten then, but not what was concluded from it.
        """
        settings, calibrated, mine = self._settings, self._topology.calibrated, question.grounded
        horizon, least = self._now_ns - round(settings.window_s * SECOND_NS), 2 * settings.slot_ns
        earliest = min(since for _, since, _ in mine)
        for camera, spans in known.spans.items():
            if not calibrated(camera):
                continue
            for start, end in spans:
                if min(end, horizon) - max(start, earliest) <= least:
                    continue
                for elsewhere, since, until in mine:
                    common = min(end, until, horizon) - max(start, since)
                    if elsewhere != camera and common > least:
                        return True
        return False


def _around(course: Sequence[Stay], stays: Sequence[Stay]) -> list[Stay]:
    """The part of a course from just before some stays to just after: the rest is no other with them or without."""
    low = sum(stay.start_ns <= stays[0].start_ns for stay in course)
    high = sum(stay.start_ns <= stays[-1].start_ns for stay in course)
    return list(course[max(low - 1, 0) : high + 1])
