"""Scoring ahead what a commit's decisions will ask for: in few passes over many pairs instead of one for each camera.

Decisions are taken camera by camera, and each changes what the next ones are about. But most pairs of a track and an
identity are as they were when the commit began. So all are scored then; once one is asked for of which something has
changed, it is scored anew, and with it those that have changed by then and will be asked for soon. What will be asked
for later may change once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat

import numpy as np

from mtmct.evidence import NEGLIGIBLE, Judge, Question
from mtmct.identities import Identity
from mtmct.scores import NOTHING, Picked, Scored
from mtmct.subjects import Subject

_SOON = 16  # so many subjects ahead are scored anew
_Found = tuple[Scored, int]  # what a candidate came to: its place in some scores


@dataclass(slots=True)
class _Entry:
    """What was scored of one subject.

    Attributes:
        subject: the subject. version: of its identity, 0 for a track alone.
        found, totals: of each candidate, by number.
        rivals: how many the subject could be when those were scored that depend on it.
        plain: nothing but the terms of `mtmct.scoring` counted.
        out: candidates that stay ruled out, whatever tracks they gain.
        stale: candidates that have changed since.
    """

    subject: Subject
    version: int
    found: dict[int, _Found] = field(default_factory=dict)
    totals: dict[int, float] = field(default_factory=dict)
    rivals: set[int] = field(default_factory=set)
    plain: bool = True
    out: set[int] = field(default_factory=set)
    stale: set[int] = field(default_factory=set)


class Foresight(Judge):
    """A judge who has scored what will be asked, and says the same as one who scores it when asked."""

    _entries: dict[int, _Entry]  # by uid of a track alone, or minus the number of an identity
    _about: defaultdict[int, set[int]]  # keys of the entries in which an identity is a candidate, by its number
    _versions: dict[int, int]  # of the candidates when they were scored last
    _seen: int  # so much of what the book has touched was looked at
    _reviewed: dict[int, int]  # identities of the tracks that do not count as part of theirs, by uid
    _counting: set[int]  # identities as part of which such a track counts again since they were scored
    _stale: set[int]  # identities that have changed in any way since
    _noted: int  # so much of what the book has touched is among these
    _shrunk: int  # so many of the identities that have lost a track were looked at

    def look_ahead(self, questions: Sequence[Question], without: frozenset[int]) -> None:
        """Score tracks alone against whom each could be, and how alike these are to each other.

        `without` may only become less from then on; all tracks in it are among those that are scored.
        """
        self._entries, self._about, self._versions = {}, defaultdict(set), {}
        tracks = [track for subject, _ in questions for track in subject.tracks]
        self._reviewed = {track.uid: track.identity for track in tracks if track.uid in without}
        self._counting, self._stale = set(), set()
        self._seen = self._noted = len(self._book.touched)
        self._shrunk = len(self._book.shrunk)
        incomplete = frozenset(self._reviewed.values())
        scored = super().scored(questions, without)
        rivals: dict[int, set[int]] = {}
        for (subject, candidates), of in zip(questions, scored, strict=True):
            self._keep(subject, candidates, of)
            best = int(of.totals.argmax()) if len(of) else -1
            if best < 0 or not of.totals[best] > 0:
                continue
            serious = np.flatnonzero(of.totals > NEGLIGIBLE).tolist()
            identity = candidates[best]
            if len(serious) > 1 and identity.uids and identity.number not in incomplete:
                rivals.setdefault(identity.number, set()).update(candidates[place].number for place in serious)
        mutual: list[Question] = []
        for best, competing in sorted(rivals.items()):
            beside = [self._book[number] for number in sorted(competing - {best})]
            mutual.append((Subject.of_identity(self._book[best], self._book), beside))
        for (subject, others), of in zip(mutual, super().scored(mutual, without), strict=True):
            self._keep(subject, others, of)

    def scored(self, questions: Sequence[Question], without: frozenset[int] = frozenset()) -> list[Scored]:
        """See `Judge.scored`."""
        for uid in [uid for uid in self._reviewed if uid not in without]:
            number = self._reviewed.pop(uid)
            self._counting.add(number)
            self._stale.add(number)
            self._versions.pop(number, None)
        self._stale.update(self._book.touched[self._noted :])
        self._noted = len(self._book.touched)
        for number in self._book.shrunk[self._shrunk :]:
            for key, scored_of in self._entries.items():
                if number in scored_of.out:
                    scored_of.out.remove(number)
                    self._about[number].add(key)
        self._shrunk = len(self._book.shrunk)
        asked = [(subject, candidates, self._missing(subject, candidates)) for subject, candidates in questions]
        if any(missing for _, _, missing in asked):
            self._refresh([(subject, missing) for subject, _, missing in asked if missing], without)
        answers = []
        for subject, candidates, _ in asked:
            entry = self._entries.get(_key(subject))
            answers.append(NOTHING if entry is None else self._answer(entry, candidates))
            if subject.identity is None:
                # A track is decided once.
                self._drop(subject)
        return answers

    def _answer(self, entry: _Entry, candidates: Sequence[Identity]) -> Scored:
        if not candidates:
            return NOTHING
        numbers, rivals = [one.number for one in candidates], self.rivals(entry.subject)
        found = [entry.found[number] for number in numbers]
        if entry.rivals <= {rivals}:
            return Picked(np.array([entry.totals[number] for number in numbers]), found)
        first = found[0][0]
        if len(found) == len(first) and all(
            scored is first and place == at for at, (scored, place) in enumerate(found)
        ):
            answer = first
        elif any(scored.varies and scored.rivals != rivals for scored, _ in found):
            answer = Scored.joined(found)
        else:
            return Picked(np.array([entry.totals[number] for number in numbers]), found)
        if answer.varies and answer.plain and any(scored.rivals != rivals for scored, _ in found):
            # There are more identities by now, or fewer.
            answer = answer.among(rivals, self._settings.area_per_person_m2)
        return answer

    def _missing(self, subject: Subject, candidates: Sequence[Identity]) -> list[Identity]:
        """The candidates that have to be scored, since they never were or something has changed."""
        entry = self._entries.get(_key(subject))
        if entry is None or not _holds(entry):
            return list(candidates)
        if entry.plain:
            known, stale = entry.found, (self._stale | entry.stale) - entry.out
            return [one for one in candidates if one.number not in known or one.number in stale]
        missing, versions, rivals = [], self._versions, self.rivals(subject)
        for one in candidates:
            found = entry.found.get(one.number)
            if (
                found is None
                or one.number in entry.stale
                or versions.get(one.number) != one.version
                or not (found[0].plain or found[0].rivals == rivals)
            ):
                missing.append(one)
        return missing

    def _refresh(self, asked: Sequence[Question], without: frozenset[int]) -> None:
        """Score what is asked for, and what has changed of those who are next, as looked ahead."""
        wanted: dict[int, tuple[Subject, dict[int, Identity]]] = {
            _key(subject): (subject, {one.number: one for one in missing}) for subject, missing in asked
        }
        touched, self._seen = self._book.touched[self._seen :], len(self._book.touched)
        for number in sorted(self._counting.union(touched)):
            one = self._book.identities.get(number)
            if one is None or one.version == self._versions.get(number):
                continue
            for key in self._about.get(number, ()):
                entry = self._entries.get(key)
                if entry is not None and number not in entry.out:
                    entry.stale.add(number)
            self._versions[number] = one.version
        identities = self._book.identities
        for key, entry in islice(self._entries.items(), _SOON):
            if entry.stale and _holds(entry):
                changed = {number: identities[number] for number in sorted(entry.stale) if number in identities}
                wanted.setdefault(key, (entry.subject, {}))[1].update(changed)
        self._counting.clear()
        self._stale.clear()
        questions = [(subject, list(missing.values())) for subject, missing in wanted.values()]
        for (subject, missing), new in zip(questions, super().scored(questions, without), strict=True):
            self._keep(subject, missing, new)

    def _keep(self, subject: Subject, candidates: Sequence[Identity], scored: Scored) -> None:
        key = _key(subject)
        entry = self._entries.get(key)
        if entry is None or not _holds(entry):
            version = 0 if subject.identity is None else subject.identity.version
            entry = self._entries[key] = _Entry(subject, version)
        entry.stale.difference_update([one.number for one in candidates])
        entry.plain = entry.plain and scored.plain
        if scored.varies:
            entry.rivals.add(scored.rivals)
        # What classes say may change with every track.
        lasting = len(self._book.columns.classes) == 1
        about, out = self._about, entry.out
        if len(candidates) == 1:
            # Most are: of who has changed since.
            (one,) = candidates
            number = one.number
            entry.found[number], entry.totals[number] = (scored, 0), scored.totals.item()
            self._versions[number] = one.version
            if lasting:
                (out.add if scored.ruled_out() else out.discard)(number)
            if number not in out:
                about[number].add(key)
            return
        numbers = [one.number for one in candidates]
        entry.found.update(zip(numbers, zip(repeat(scored), range(len(numbers))), strict=False))
        entry.totals.update(zip(numbers, scored.totals.tolist(), strict=True))
        if lasting:
            out.difference_update(numbers)
            out.update([numbers[place] for place in scored.ruled_out()])
        self._versions.update([(one.number, one.version) for one in candidates])
        for number in set(numbers).difference(out):
            about[number].add(key)

    def _drop(self, subject: Subject) -> None:
        self._entries.pop(_key(subject), None)


def _holds(entry: _Entry) -> bool:
    """Whether what was scored of a subject is of the subject as it is."""
    identity = entry.subject.identity
    return identity is None or identity.version == entry.version


def _key(subject: Subject) -> int:
    return -subject.identity.number if subject.identity is not None else subject.tracks[0].uid
