"""Finding a tracker's parameters from ground truth, with SciPy's differential evolution (Storn and Price 1997)."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from operators.records import SECOND_NS
from operators.track.errors import TrackerError
from operators.track.mot_text import read_mot
from operators.track.registry import create, find, parameters_of
from operators.track.scoring import Counts, Truth, count, read_truth

# Where to search, by parameter name; a tracker's own parameters among these are tuned unless told otherwise.
RANGES: Mapping[str, tuple[float, float]] = {
    "high": (0.2, 0.8),
    "low": (0.02, 0.3),
    "new": (0.3, 0.9),
    "min_score": (0.05, 0.8),
    "match": (0.5, 0.98),
    "second_match": (0.3, 0.8),
    "tentative_match": (0.4, 0.95),
    "iou": (0.05, 0.6),
    "iou_match": (0.3, 0.95),
    "bare_match": (0.4, 0.95),
    "look_match": (0.1, 1.0),
    "proximity": (0.2, 0.95),
    "appearance": (0.05, 0.6),
    "inertia": (0.0, 0.6),
    "coast_seconds": (0.2, 10.0),
    "lost_seconds": (0.1, 5.0),
    "position_noise": (0.01, 0.3),
    "gate": (0.0, 60.0),
    "doubtful_gate": (0.0, 60.0),
    "acceleration_noise": (0.01, 20.0),
    "top_speed": (0.1, 10.0),
    "velocity_noise": (0.001, 0.05),
}


@dataclass(frozen=True, slots=True)
class TuningSequence:
    """A sequence with ground truth: (N, 5) rows x1 y1 x2 y2 score a frame, frames a second, what was there."""

    name: str
    rows: list[NDArray[np.float64]]
    fps: float
    truth: Truth


@dataclass(frozen=True, slots=True)
class Tuned:
    """What tuning found.

    Attributes:
        parameters: the best parameters found, rounded to four digits.
        before, after: counts of the defaults and of `parameters` on the same sequences.
        held_out: counts of every sequence at parameters tuned on the others; None with one sequence or if not asked
            for. This is what to expect of sequences not seen; `after` flatters.
    """

    parameters: dict[str, float]
    before: Counts
    after: Counts
    held_out: Counts | None


def read_sequence(folder: Path, fps: float | None = None) -> TuningSequence:
    """A folder in MOT's layout: det/det.txt, gt/gt.txt, and seqinfo.ini unless `fps` is given.

    Raises:
        TrackerError: something is missing or cannot be read.
    """
    info = configparser.ConfigParser()
    info.read(folder / "seqinfo.ini")
    about = info["Sequence"] if info.has_section("Sequence") else {}
    try:
        rate = float(fps or about["frameRate"])
        length = int(about["seqLength"]) if "seqLength" in about else None
    except (KeyError, ValueError) as error:
        raise TrackerError(f"{folder} has no seqinfo.ini with frameRate and seqLength: give the frame rate") from error
    truth = read_truth(folder / "gt" / "gt.txt", length)
    frames = read_mot(folder / "det" / "det.txt")[: truth.frames]
    rows = [np.column_stack([d.boxes, d.scores]).astype(np.float64) for d in frames]
    rows += [np.zeros((0, 5))] * (truth.frames - len(rows))
    return TuningSequence(folder.name, rows, rate, truth)


def evaluate(tracker: str, parameters: Mapping[str, Any], sequence: TuningSequence) -> Counts:
    """The counts of a tracker on a sequence; `rate_hz` is the sequence's unless `parameters` has it."""
    one = create(tracker, **{"rate_hz": sequence.fps, **parameters})
    told = [one.update_rows(rows, round(k * SECOND_NS / sequence.fps)) for k, rows in enumerate(sequence.rows)]
    return count(sequence.truth, [t[:, 4].astype(np.int64) for t in told], [t[:, :4] for t in told])


def tune(
    tracker: str,
    sequences: Sequence[TuningSequence],
    *,
    only: Sequence[str] = (),
    fixed: Mapping[str, Any] | None = None,
    evaluations: int = 300,
    held_out: bool = True,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda tried, best: None,
) -> Tuned:
    """Searches the parameters with the best HOTA + IDF1, all sequences counted together.

    Args:
        only: parameters to tune, of RANGES; empty: all that the tracker has itself, and `lost_seconds`.
        fixed: parameters to hold. evaluations: about how many settings to try, for each search.
        held_out: also search once for each sequence left out, and score it with what the others chose.
        seed: same seed, same result.
        progress: told after every setting how many were tried so far, over all searches, and the best HOTA + IDF1 of
            the present search.

    Raises:
        TrackerError: no sequences, or a parameter that the tracker or RANGES does not have.
    """
    if not sequences:
        raise TrackerError("tuning needs at least one sequence with ground truth")
    held = dict(fixed or {})
    known = parameters_of(find(tracker))
    names = list(only) or [name for name in known if name in RANGES and name not in held]
    wrong = [name for name in names if name not in known or name not in RANGES]
    if wrong or not names:
        raise TrackerError(
            f"{tracker} cannot be tuned in {', '.join(wrong) or 'nothing'}: choose among {', '.join(RANGES)}"
        )
    start = {name: float(known[name]) for name in names}

    tried = 0

    def search(chosen: Sequence[TuningSequence]) -> dict[str, float]:
        best_so_far = 0.0

        def loss(point: NDArray[np.float64]) -> float:
            nonlocal tried, best_so_far
            total = _total([evaluate(tracker, {**held, **_named(names, point)}, s) for s in chosen])
            tried, best_so_far = tried + 1, max(best_so_far, total.hota + total.idf1)
            progress(tried, best_so_far)
            return -(total.hota + total.idf1)

        bounds = [RANGES[name] for name in names]
        x0 = np.clip([start[name] for name in names], *np.transpose(bounds))
        members = max(8, 2 * len(names))
        found = differential_evolution(
            loss,
            bounds,
            x0=x0,
            maxiter=max(1, evaluations // members - 1),
            popsize=max(1, -(-members // len(names))),
            polish=False,
            rng=seed,
        )
        point = _named(names, found.x)
        return point if found.fun < loss(np.array([start[name] for name in names])) else dict(start)

    best = search(sequences)
    elsewhere = None
    if held_out and len(sequences) > 1:
        elsewhere = _total(
            [evaluate(tracker, {**held, **search([t for t in sequences if t is not s])}, s) for s in sequences]
        )
    return Tuned(
        best,
        _total([evaluate(tracker, {**held, **start}, s) for s in sequences]),
        _total([evaluate(tracker, {**held, **best}, s) for s in sequences]),
        elsewhere,
    )


def _named(names: Sequence[str], point: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(names, point, strict=True)}


def _total(counts: Sequence[Counts]) -> Counts:
    total = counts[0]
    for other in counts[1:]:
        total = total + other
    return total
