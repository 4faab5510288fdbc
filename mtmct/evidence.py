"""Is this track that identity? Log-likelihood ratios of appearance, position, motion and class, added up.

Each ratio compares "the same" with "somebody else", in nats. The prior of any one of K known identities is 1/K;
where a position is known it takes the place of that prior, because the density of people, 1/area, is K over the
site's area: so "near enough that few others would fit" and "one of few" are the same currency.

The terms are worked out in `mtmct.scoring`, for all pairs that are asked for at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from mtmct import exclusion, scoring
from mtmct.attributes import Population, Votes, agreement, together
from mtmct.coincidence import PairWindow
from mtmct.columns import MIXED, PeopleTable, TrackTable
from mtmct.exemplars import MOST_GAIN, MOST_SAID, REPEATED
from mtmct.identities import IdentityBook
from mtmct.identity import Identity
from mtmct.itinerary import Stay
from mtmct.likeness import Belief, likeness
from mtmct.movement import BODY_M, NEVER, transitions
from mtmct.passes import judged, resembling
from mtmct.questions import Question, Questions
from mtmct.rivals import Rivals
from mtmct.scores import FORBIDDEN, Score, Scored, nothing_scored
from mtmct.settings import FusionSettings
from mtmct.spans import Asked, gather
from mtmct.subjects import Subject, course
from mtmct.terms import APPEARANCE, CLASS, HAND_OVER, TERMS, TIMED
from mtmct.topology import Float64, Topology
from mtmct.tracklets import bounds_of
from mtmct.travel import TravelTimes
from operators.records import SECOND_NS, Int64

NEGLIGIBLE = -3.0  # an identity that scores less is no rival to speak of, nats


class Judge:
    """Scores subjects against identities as things stand at one commit.

    Args:
        book: the identities.
        window: simultaneous positions.
        topology: which cameras are calibrated.
        settings: densities, priors and calibrations.
        now_ns: the commit's event time.
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
        self._rivals = Rivals(book, topology, settings, now_ns)
        self._without: tuple[frozenset[int], Int64] | None = None
        self._beliefs: scoring.Beliefs | None = None

    def scores(
        self, subject: Subject, candidates: Sequence[Identity], without: frozenset[int] = frozenset()
    ) -> list[Score]:
        """One score a candidate; `without` names uids to be left out of the candidates (a track under review)."""
        return self.all_scores([(subject, candidates)], without)[0]

    def all_scores(self, asked: Sequence[Question], without: frozenset[int] = frozenset()) -> list[list[Score]]:
        """The same for many subjects at once: for each of them one score a candidate."""
        questions = Questions.of(asked, self._book)
        scored, bounds = self.scored(questions, without), questions.pairs_at.tolist()
        return [[scored[pair] for pair in range(low, high)] for low, high in pairwise(bounds)]

    def scored(self, questions: Questions, without: frozenset[int] = frozenset(), *, looks: bool = False) -> Scored:
        """The same without the terms, until somebody asks for them.

        `looks`: what these say is worked out even for those who are ruled out; it is in the columns then.
        """
        if not len(questions.numbers):
            return nothing_scored()
        tracks, people, asked = self._asked(questions, without)
        table = self._window.table
        pairs = scoring.Pairs(table.names, table.heads, table.partners, table.llr, table.distance)
        totals, status, terms, steps, timed = judged(
            tracks, people, pairs, self._believed(), self._allowance(), self._belief(), asked, looks
        )
        scored = Scored(totals, status, terms, steps)
        if timed or (self._population is not None and bool(self._population.votes)):
            self._say_more(questions, scored, without)
        return scored

    def _say_more(self, questions: Questions, scored: Scored, without: frozenset[int]) -> None:
        """Put in the scores of candidates for whom times between views count, or attributes."""
        numbers, status, bounds = questions.numbers.tolist(), scored.status.tolist(), questions.pairs_at.tolist()
        described = self._population is not None and bool(self._population.votes)
        for place, (low, high) in enumerate(pairwise(bounds)):
            if not described and TIMED not in status[low:high]:
                continue
            subject = questions.subject(place, self._book)
            own = subject.attributes if described else {}
            for pair in range(low, high):
                candidate, score = self._book[numbers[pair]], scored[pair]
                if status[pair] == TIMED:
                    score = self._timed(subject, candidate, without, scored.terms[pair].tolist())
                if own:
                    score = self._with_attributes(score, own, candidate, without)
                if own or status[pair] == TIMED:
                    scored.replace(pair, score)

    def _with_attributes(self, score: Score, own: Votes, candidate: Identity, without: frozenset[int]) -> Score:
        """A score, and what the attributes say for the candidate, if it has some in common with what is sought."""
        alike = None if score is FORBIDDEN else self._alike(own, candidate, without)
        if alike is None:
            return score
        terms = {**score.terms, "attributes": alike}
        return Score(round(sum(terms.values()), 6), terms)

    def _alike(self, own: Votes, candidate: Identity, without: frozenset[int]) -> float | None:
        """What the attributes say for a candidate, nats; None where there are none in common."""
        assert self._population is not None, "attributes count only where it is known how common they are"
        tracks = self._book.tracks_of(candidate)
        theirs = together([candidate.attributes, *(track.attributes for track in tracks if track.uid not in without)])
        return agreement(own, theirs, self._population, self._settings.attributes)

    def rivalry(self, best: int, rivals: Mapping[int, float], without: frozenset[int] = frozenset()) -> float:
        """How much the other identities speak against the best: the sum of their ratios.

        Two identities of one person do not compete for a track: each counts as far as it is somebody else.

        Args:
            best: number of the best identity.
            rivals: scores of the others by number.
            without: uids to be left out of all.
        """
        return self.rivalries([(best, rivals)], without)[0]

    def rivalries(
        self, asked: Sequence[tuple[int, Mapping[int, float]]], without: frozenset[int] = frozenset()
    ) -> list[float]:
        """The same of several: the number of the best identity, and the scores of the others by number, of each."""
        serious = [[number for number, score in rivals.items() if score > NEGLIGIBLE] for _, rivals in asked]
        mutual: dict[int, Sequence[float]] = {}
        together = []
        for row, ((best, _), numbers) in enumerate(zip(asked, serious, strict=True)):
            identity = self._book[best]
            if numbers and identity.uids and without.isdisjoint(identity.uids):
                together.append(row)
            elif numbers:
                mutual[row] = self._remembered(identity, numbers, without)
        if together:
            said = self.mutual([(asked[row][0], serious[row]) for row in together], without)
            mutual.update(zip(together, said, strict=True))
        for row, scores in mutual.items():
            mutual[row] = self._despite_one_camera(asked[row][0], serious[row], scores, without)
        found = []
        for row, (_, rivals) in enumerate(asked):
            total = sum(math.exp(score) for score in rivals.values())
            for number, score in zip(serious[row], mutual.get(row, ()), strict=True):
                one = 1 / (1 + math.exp(-max(min(score, 30.0), -30.0))) if score != NEVER else 0.0
                total -= one * math.exp(rivals[number])
            found.append(max(total, 0.0) if serious[row] else total)
        return found

    def mutual(self, asked: Sequence[tuple[int, Sequence[int]]], without: frozenset[int]) -> list[list[float]]:
        """The scores of identities being each of some others, all by number; none of their tracks is left out."""
        whose = np.array([number for number, _ in asked], np.int64)
        numbers = np.array([number for _, others in asked for number in others], np.int64)
        pairs_at = bounds_of([len(others) for _, others in asked])
        totals = self.scored(Questions.of_identities(whose, pairs_at, numbers, self._book), without).totals.tolist()
        return [totals[low:high] for low, high in pairwise(pairs_at.tolist())]

    def _despite_one_camera(
        self, best: int, others: Sequence[int], scores: Sequence[float], without: frozenset[int]
    ) -> Sequence[float]:
        """The scores of an identity being each of others; of those that one camera showed beside it, by looks alone.

        If they look like one they are, and one of them has taken in a track of somebody else. Neither is a reason to
        take whoever looks like both for somebody new. Nor is it where positions keep them apart.
        """
        if NEVER not in scores:
            return scores
        cls = self._book.cls(self._book[best])
        apart = [
            place
            for place, score in enumerate(scores)
            if score == NEVER and self._book.cls(self._book[others[place]]) == cls
        ]
        if not apart:
            return scores
        looks = self.alike(best, [others[place] for place in apart], without)
        prior = self._settings.returns - math.log(max(len(self._book), 1))
        found = list(scores)
        for place, said in zip(apart, looks, strict=True):
            found[place] = prior + said if math.isfinite(said) else NEVER
        return found

    def alike(self, number: int, others: Sequence[int], without: frozenset[int]) -> list[float]:
        """What the looks alone say for an identity being each of others, nats; NaN where none can be compared."""
        questions = self._what_is_left(self._book[number], others, without)
        said: list[float] = self.resemblances(questions, without).tolist()
        return said

    def _what_is_left(self, identity: Identity, others: Sequence[int], without: frozenset[int]) -> Questions:
        """An identity without some of its tracks, and each of others."""
        left = [track for track in self._book.tracks_of(identity) if track.uid not in without]
        beside = [self._book[number] for number in others]
        return Questions.of([(Subject(self._book.cls(identity), left, identity), beside)], self._book)

    def _remembered(self, identity: Identity, others: Sequence[int], without: frozenset[int]) -> list[float]:
        """What looks and whereabouts say for an identity of which no track is in memory being each of others, nats."""
        tracks, people, asked = self._asked(self._what_is_left(identity, others, without), without)
        compared = gather(tracks, people, asked)
        together = exclusion.shared(people, compared, self._believed().llr, self._allowance(), asked)
        said = likeness(tracks, people, compared, self._belief(), asked, together > NEVER)
        prior = self._settings.returns - math.log(max(len(self._book), 1))
        return [
            prior + moments + (looks if math.isfinite(looks) else 0.0)
            for moments, looks in zip(together.tolist(), said.tolist(), strict=True)
        ]

    def resemblances(self, questions: Questions, without: frozenset[int]) -> Float64:
        """What the looks alone say for each candidate of each subject, (P,) nats; NaN where none can be compared."""
        tracks, people, asked = self._asked(questions, without)
        return resembling(tracks, people, self._belief(), asked)

    # --- the columns -----------------------------------------------------------------------------------------------

    def _asked(self, questions: Questions, without: frozenset[int]) -> tuple[TrackTable, PeopleTable, Asked]:
        """The questions by rows and slots, and the columns in which these are."""
        book = self._book
        book.catch_up()
        rivals = self._rivals.of(questions.rows_at, questions.rows) if questions.rivals is None else questions.rivals
        # Only now: looks that only identities have may have widened the tracks' columns.
        tracks, people = book.track_table(), book.people.table()
        asked = Asked(
            questions.rows_at,
            questions.rows,
            questions.mine,
            self._classes_of(tracks, questions),
            rivals,
            questions.pairs_at,
            questions.slots,
            self._classes(tracks, people, questions),
            self._left_out(without),
        )
        return tracks, people, asked

    def _classes_of(self, tracks: TrackTable, questions: Questions) -> Int64:
        """The class of every subject."""
        found = np.zeros(len(questions), np.int64)
        if len(self._book.columns.classes) > 1:
            alone = questions.whose == 0
            found[alone] = tracks.cls[questions.rows[questions.rows_at[:-1][alone]]]
            for place in np.flatnonzero(~alone).tolist():
                found[place] = self._book.columns.number_of(self._book.cls(self._book[int(questions.whose[place])]))
        return found

    def _left_out(self, without: frozenset[int]) -> Int64:
        """The rows of tracks that do not count; the same are left out of hundreds of passes."""
        if self._without is None or self._without[0] is not without:
            rows = self._book.columns.rows
            self._without = without, np.array([rows[uid] for uid in without if uid in rows], np.int64)
        return self._without[1]

    def _classes(self, tracks: TrackTable, people: PeopleTable, questions: Questions) -> Int64:
        """The class of every candidate; counted out where points of several classes were seen."""
        if len(self._book.columns.classes) == 1:
            return np.zeros(len(questions.slots), np.int64)
        classes: Int64 = scoring.sole_classes(tracks, people, questions.slots)
        for pair in np.flatnonzero(classes == MIXED).tolist():
            classes[pair] = self._book.columns.number_of(self._book.cls(self._book[int(questions.numbers[pair])]))
        return classes

    def _believed(self) -> scoring.Beliefs:
        """The settings as plain numbers, and what depends on classes and cameras by their numbers."""
        columns, settings = self._book.columns, self._settings
        known = self._beliefs
        if known is not None and (len(known.llr), len(known.timed)) == (len(columns.classes), len(columns.cameras)):
            return known
        motions = [settings.motion(name) for name in columns.classes]
        calibrated = np.array([self._topology.calibrated(name) for name in columns.cameras], bool)
        timed = np.zeros(len(calibrated), bool)
        if self._travel is not None:
            timed = ~calibrated | np.array([self._travel.given(name) for name in columns.cameras], bool)
        self._beliefs = scoring.Beliefs(
            self._now_ns,
            round(settings.window_s * SECOND_NS),
            settings.slot_ns,
            settings.split_odds,
            settings.apart_m,
            settings.unseen_overlap,
            settings.returns,
            settings.inside,
            settings.velocity_memory_s,
            settings.position_memory_s,
            settings.surprise,
            settings.area_per_person_m2,
            BODY_M,
            np.array([[settings.class_llr(one, other) for other in columns.classes] for one in columns.classes]),
            np.array([motion.max_speed for motion in motions]),
            np.array([motion.wander for motion in motions]),
            np.array([motion.unsteady for motion in motions]),
            calibrated,
            timed,
        )
        return self._beliefs

    def _allowance(self) -> exclusion.Allowance:
        settings, longest = self._settings, self._book.columns.longest_ns
        return exclusion.Allowance(
            round(settings.hand_over_s * SECOND_NS), settings.hand_over_odds, settings.hand_over_odds_a_second, longest
        )

    def _belief(self) -> Belief:
        calibration = self._settings.appearance
        return Belief(calibration.slope, calibration.offset, calibration.clip, MOST_GAIN, MOST_SAID, REPEATED)

    # --- times between views ---------------------------------------------------------------------------------------

    def _timed(self, subject: Subject, candidate: Identity, without: frozenset[int], said: Sequence[float]) -> Score:
        """Time in the place of positions: for who comes from a view into one without calibration.

        The rates of coming hold the rivals and the newcomers already. Within one camera the place at which a
        track was lost counts, for as long as it is remembered: as far as nobody comes there who is new.
        """
        settings, travel = self._settings, self._travel
        assert travel is not None, "times count only where they are learned"
        first = min(subject.tracks, key=lambda track: (track.start_ns, track.uid))
        last = max(subject.tracks, key=lambda track: (track.last_ns, track.uid))
        stays = subject.stays
        known = course(candidate, self._book, without)
        nearby = _around(known, stays)
        time = travel.joined(stays, nearby) if nearby else 0.0
        if time == NEVER:
            return FORBIDDEN
        terms = {"travel": time}
        tracks = [track for track in self._book.tracks_of(candidate) if track.uid not in without]
        motion = transitions(first, last, tracks, None, settings)
        if motion == NEVER and any(stay.camera == stays[0].camera for stay in known):
            motion = None
        if motion is not None:
            usual = 0.0 if first.at_border else -settings.inside
            begun = settings.returns - travel.crowding(first.stay, usual)
            terms["motion"] = float(np.logaddexp(time, motion + begun)) - time
        for term in (CLASS, APPEARANCE, HAND_OVER):
            if not math.isnan(said[term]):
                terms[TERMS[term]] = said[term]
        return Score(round(sum(terms.values()), 6), terms)

    def travellers(
        self, subject: Subject, candidates: Sequence[Identity], without: frozenset[int]
    ) -> list[Stay | None]:
        """Where each candidate was when the subject came: the stay it would have come from."""
        came = subject.stays[0]
        found: list[Stay | None] = []
        for candidate in candidates:
            stays = course(candidate, self._book, without)
            before = [stay for stay in stays if stay.start_ns <= came.start_ns]
            found.append(before[-1] if before else None)
        return found


def _around(course: Sequence[Stay], stays: Sequence[Stay]) -> list[Stay]:
    """The part of a course from just before some stays to just after: the rest is no other with them or without."""
    low = sum(stay.start_ns <= stays[0].start_ns for stay in course)
    high = sum(stay.start_ns <= stays[-1].start_ns for stay in course)
    return list(course[max(low - 1, 0) : high + 1])
