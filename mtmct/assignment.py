"""Which of some tracks is which identity: one assignment of all tracks of a camera that are decided at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from mtmct.movement import NEVER
from mtmct.scores import Score, Scored
from operators.records import Int64


class Answer(NamedTuple):
    """What those come to whom one track could be.

    Attributes:
        numbers: of these identities, ascending. totals: the scores.
        scored, pairs: where the scores are, with their terms.
    """

    numbers: list[int]
    totals: list[float]
    scored: Scored
    pairs: Sequence[int]


class Opponent(Protocol):
    """Who says how much the other identities speak against one."""

    def rivalry(self, best: int, rivals: Mapping[int, float], without: frozenset[int] = frozenset()) -> float:
        """See `mtmct.evidence.Judge.rivalry`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an assignment came to for one track.

    Attributes:
        identity: number of the identity it belongs to, None for somebody new.
        score: of that identity; of nobody, 0 and no terms.
        odds: by how much this beats everything else, nats.
        runner_up: the next best identity and its score, None if there was none.
        promise: the best score any identity reached, minus infinity if there was none.
    """

    identity: int | None
    score: Score
    odds: float
    runner_up: tuple[int, float] | None
    promise: float


def answers(bounds: Int64, numbers: Int64, scored: Scored) -> list[Answer]:
    """What was scored, by track: (T + 1,) where the pairs of each track begin, and (P,) the identities."""
    said, totals = numbers.tolist(), scored.totals.tolist()
    return [
        Answer(said[low:high], totals[low:high], scored, range(low, high)) for low, high in pairwise(bounds.tolist())
    ]


def assign(asked: Sequence[Answer], judge: Opponent, without: frozenset[int] = frozenset()) -> list[Verdict]:
    """One verdict a track, for tracks of one camera: no two of them become one identity.

    The best sum of scores over all of them (Hungarian assignment), so that a track does not take an identity
    that fits another one better. A verdict counts if it beats the other identities that are still free, and the
    new arrival, together: the posterior odds. `without` names tracks under review (uids): they do not count as part
    of the identity that they are in.
    """
    matches = _best_sum(asked)
    taken = set(matches.values())
    verdicts = []
    for row, answer in enumerate(asked):
        chosen, totals = matches.get(row), answer.totals
        promise = max(totals, default=NEVER)
        runner_up = _runner_up(answer, chosen)
        if chosen is None:
            verdicts.append(Verdict(None, Score(0.0, {}), 0.0, runner_up, promise))
            continue
        score = answer.scored[answer.pairs[answer.numbers.index(chosen)]]
        told = zip(answer.numbers, totals, strict=True)
        rivals = {number: said for number, said in told if said > NEVER and number not in taken}
        against = math.log(1.0 + judge.rivalry(chosen, rivals, without))
        verdicts.append(Verdict(chosen, score, round(score.total - against, 6), runner_up, promise))
    return verdicts


def _best_sum(asked: Sequence[Answer]) -> dict[int, int]:
    """Place of a track to number, maximising the sum of positive scores; a track may stay alone at no cost."""
    best = [max(answer.totals, default=NEVER) for answer in asked]
    wanted = {row: asked[row].totals.index(most) for row, most in enumerate(best) if most > 0}
    chosen = {row: asked[row].numbers[place] for row, place in wanted.items()}
    plainly = len(set(chosen.values())) == len(chosen) and all(
        asked[row].totals.count(best[row]) == 1 for row in chosen
    )
    if plainly or len(asked) == 1:
        # No two want the same.
        return chosen
    numbers = sorted({number for answer in asked for number in answer.numbers})
    column = {number: index for index, number in enumerate(numbers)}
    table = np.full((len(asked), len(numbers)), NEVER)
    for scores, answer in zip(table, asked, strict=True):
        scores[[column[number] for number in answer.numbers]] = answer.totals
    rows, columns = linear_sum_assignment(np.maximum(table, 0.0), maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: numbers[index] for row, index in pairs if table[row, index] > 0}


def _runner_up(answer: Answer, chosen: int | None) -> tuple[int, float] | None:
    """The best but for the one that was chosen."""
    others = answer.totals
    if chosen is not None:
        others = others.copy()
        others[answer.numbers.index(chosen)] = NEVER
    best = max(others, default=NEVER)
    return None if best == NEVER else (answer.numbers[others.index(best)], best)
