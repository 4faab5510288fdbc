"""Finding fusion's parameters from recorded tracklets with ground truth, by SciPy's differential evolution.

The cameras' part (detection, embedding, tracking) does not depend on fusion, so it is run once; a `tracks` topic would
not do, as it has no embeddings. What is maximised is the mean of two multi-camera IDF1: of the identities after all
corrections, and of those that were published, so that one is right early as well as in the end. Boxes are the same
for all settings; whether one is on somebody is looked up once, so a trial costs little more than fusion itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution, linear_sum_assignment

from mtmct.corrections import IdentityResolver
from mtmct.evaluation import box_ious, by_frame
from mtmct.fusion import FusionEngine
from mtmct.mot_text import Boxes
from mtmct.records import IDENTITIES, TRACKS, CameraBatch, Record
from mtmct.settings import AppearanceCalibration
from mtmct.topology import Topology
from operators.records import CrosscamError, Int64
from pipeline.assembly import appearance_of, build_topology
from pipeline.config import Site
from pipeline.config_fusion import Fusion
from pipeline.fusion_settings import fusion_settings, setting_of
from pipeline.replay import Step, fuse, record, steps

# Where to search, by the name in the site's file.
RANGES: Mapping[str, tuple[float, float]] = {
    "max_wait": (0.0, 6.0),
    "link_odds": (-1.0, 4.0),
    "first_link_odds": (0.0, 6.0),
    "hand_over": (0.0, 10.0),
    "hand_over_odds": (-4.0, 0.0),
    "merge_odds": (0.0, 8.0),
    "second_look_odds": (-1.0, 5.0),
    "split_odds": (2.0, 12.0),
    "move_odds": (2.0, 12.0),
    "returns": (-2.0, 3.0),
    "inside": (0.0, 4.0),
    "unseen_overlap": (-4.0, 1.0),
    "class_mismatch": (-6.0, 0.0),
    "area_per_person": (4.0, 100.0),
    "surprise": (0.005, 0.2),
    "decorrelation": (0.2, 3.0),
    "position_memory": (5.0, 60.0),
    "velocity_memory": (0.5, 6.0),
    "drift": (0.5, 4.0),
}
_ON = 0.5  # overlap from which a box is on somebody, as everywhere


class TuningError(CrosscamError):
    """There is nothing to tune, or nothing to tune it on."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A site's tracklets and who they are.

    Attributes:
        name: for messages.
        fusion: what the site's file says of fusion, tuned parameters aside.
        steps: what fusion gets.
        people: for each camera and track, (P,) frames and (P,) true ids of whom its boxes are on.
        boxes: number of true boxes.
    """

    name: str
    fusion: Fusion
    topology: Topology
    appearance: AppearanceCalibration
    steps: list[Step]
    people: Mapping[tuple[str, int], tuple[Int64, Int64]]
    boxes: int


@dataclass(frozen=True, slots=True)
class SiteScore:
    """Multi-camera IDF1 in percent, with all corrections and as published."""

    corrected: float
    published: float

    @property
    def mean(self) -> float:
        """What is maximised."""
        return (self.corrected + self.published) / 2


@dataclass(frozen=True, slots=True)
class TunedFusion:
    """What tuning found.

    Attributes:
        parameters: by their names in the site's file, rounded to four digits.
        before, after: means over the recordings, at the recordings' own settings and at `parameters`.
        held_out: each recording at parameters tuned on the others; None with one recording or if not asked for. This
            is what to expect elsewhere; `after` flatters.
        interrupted: the search was ended early; `parameters` are the best until then.
    """

    parameters: dict[str, float]
    before: SiteScore
    after: SiteScore
    held_out: SiteScore | None
    interrupted: bool


def read_recording(
    site: Site, truth: Mapping[str, Boxes], progress: Callable[[int], None] = lambda batches: None
) -> Recorded:
    """Run the site's cameras once and see who their tracks are.

    Args:
        site: its cameras are recordings.
        truth: boxes by camera, ids shared by the cameras.
        progress: see `pipeline.replay.record`.

    Raises:
        TuningError: there is no ground truth of any of its cameras.
        ReplayError: see `pipeline.replay.record`.
    """
    mine = {camera.id: truth[camera.id] for camera in site.cameras if camera.id in truth}
    if not mine:
        raise TuningError(f"there is no ground truth of any camera of site {site.site!r}; it is of {', '.join(truth)}")
    batches = record(site, progress)
    people: dict[tuple[str, int], tuple[Int64, Int64]] = {}
    for camera, boxes in mine.items():
        people |= people_of(camera, boxes[boxes.confidences != 0], batches)
    return Recorded(
        site.site,
        site.fusion,
        build_topology(site),
        appearance_of(site),
        steps(batches, site.interval_ns),
        people,
        sum(int((boxes.confidences != 0).sum()) for boxes in mine.values()),
    )


def people_of(camera: str, truth: Boxes, batches: Sequence[CameraBatch]) -> dict[tuple[str, int], tuple[Int64, Int64]]:
    """Frames and true ids of all boxes of `truth` that a track is on, by camera and track."""
    tracklets = [t for batch in batches if batch.camera == camera for t in batch.tracklets if len(t)]
    if not tracklets:
        return {}
    frames = np.concatenate([t.frames for t in tracklets])
    tracks = np.repeat([t.track for t in tracklets], [len(t) for t in tracklets])
    xyxy = np.concatenate([t.boxes for t in tracklets]).astype(np.float64)
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
    found = Boxes(frames.astype(np.float64), tracks, xywh, np.ones(len(frames)), np.ones(len(frames), np.int64))
    pieces = []
    for rows_t, rows_f in by_frame(truth, found):
        t, f = np.nonzero(box_ious(truth.xywh[rows_t], xywh[rows_f]) >= _ON)
        pieces.append(np.column_stack([tracks[rows_f[f]], frames[rows_f[f]], truth.ids[rows_t[t]]]))
    pairs = np.concatenate(pieces)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    known, starts = np.unique(pairs[:, 0], return_index=True)
    each = np.split(pairs, starts[1:])
    people = {(camera, int(track)): (rows[:, 1], rows[:, 2]) for track, rows in zip(known, each, strict=False)}
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    # A track that is on nobody counts, too: as wrong.
    return {(camera, int(track)): people.get((camera, int(track)), nothing) for track in np.unique(tracks)}


def score(recorded: Recorded, parameters: Mapping[str, float]) -> SiteScore:
    """How well fusion does on a recording at some parameters."""
    return score_of(recorded, recorded.steps, parameters)


def score_of(recorded: Recorded, todo: Sequence[Step], parameters: Mapping[str, float] | None = None) -> SiteScore:
    """The same with the recording's batches given in other steps."""
    return _idf1(recorded, fuse(fusion_engine(recorded, parameters or {}), todo))


def fusion_engine(recorded: Recorded, parameters: Mapping[str, float]) -> FusionEngine:
    """The recording's engine at some parameters, by their names in the site's file."""
    fusion = Fusion.model_validate({**recorded.fusion.model_dump(), **parameters})
    return FusionEngine(recorded.name, recorded.topology, fusion_settings(fusion, recorded.appearance))


def _idf1(recorded: Recorded, said: Sequence[Record]) -> SiteScore:
    resolver = IdentityResolver()
    for one in said:
        if one.topic == IDENTITIES:
            resolver.apply(one.value)
    tracks = [one.value for one in said if one.topic == TRACKS]
    for value in tracks:
        resolver.published(value)
    sums: tuple[dict[tuple[int, int], int], ...] = ({}, {})
    counts = [0, 0]
    for value in tracks:
        who = (value["camera"], value["track"])
        if who not in recorded.people:
            continue  # a camera without ground truth
        frames, people = recorded.people[who]
        low, high = np.searchsorted(frames, (value["frames"][0], value["frames"][-1] + 1))
        seen, times = np.unique(people[low:high], return_counts=True)
        for way, number in enumerate((resolver.identity_of(*who, value["start"]), value["number"])):
            if number is not None:
                counts[way] += len(value["frames"])
                for person, n in zip(seen.tolist(), times.tolist(), strict=True):
                    sums[way][person, number] = sums[way].get((person, number), 0) + n
    corrected, published = (
        200 * _best_pairs(table) / max(recorded.boxes + count, 1) for table, count in zip(sums, counts, strict=True)
    )
    return SiteScore(corrected, published)


def _best_pairs(table: Mapping[tuple[int, int], int]) -> int:
    """The most boxes that can be right if every person is one identity and the other way round."""
    rows = {person: row for row, person in enumerate(sorted({person for person, _ in table}))}
    columns = {number: column for column, number in enumerate(sorted({number for _, number in table}))}
    together = np.zeros((len(rows), len(columns)))
    for (person, number), count in table.items():
        together[rows[person], columns[number]] = count
    return int(together[linear_sum_assignment(together, maximize=True)].sum())


def tune(
    recordings: Sequence[Recorded],
    *,
    only: Sequence[str] = (),
    evaluations: int = 200,
    held_out: bool = True,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda tried, best: None,
) -> TunedFusion:
    """Search the parameters with the best mean IDF1 over the recordings. A KeyboardInterrupt ends the search.

    Args:
        only: parameters to tune, of RANGES; empty: all.
        evaluations: about how many settings to try, for each search.
        held_out: also search once for each recording left out, and score it with what the others chose.
        seed: same seed, same result.
        progress: told after every setting how many were tried, over all searches, and the best score of this one.

    Raises:
        TuningError: no recordings, or a parameter that cannot be tuned.
    """
    if not recordings:
        raise TuningError("tuning needs at least one site of recordings with ground truth")
    wrong = [name for name in only if name not in RANGES]
    if wrong:
        raise TuningError(f"fusion cannot be tuned in {', '.join(wrong)}: choose among {', '.join(RANGES)}")
    names = list(only) or list(RANGES)
    tried = 0

    def search(chosen: Sequence[Recorded]) -> tuple[dict[str, float], bool]:
        start = _now(names, chosen[0])
        best, best_score = dict(start), _mean([score(one, {}) for one in chosen]).mean

        def loss(point: NDArray[np.float64]) -> float:
            nonlocal tried, best, best_score
            parameters = {name: round(float(value), 4) for name, value in zip(names, point, strict=True)}
            reached = _mean([score(one, parameters) for one in chosen]).mean
            if reached > best_score:
                best, best_score = parameters, reached
            tried += 1
            progress(tried, best_score)
            return -reached

        bounds = [RANGES[name] for name in names]
        members = max(8, len(names))
        try:
            differential_evolution(
                loss,
                bounds,
                x0=np.clip(list(start.values()), *np.transpose(bounds)),
                maxiter=max(1, evaluations // members - 1),
                popsize=max(1, -(-members // len(names))),
                polish=False,
                rng=seed,
            )
        except KeyboardInterrupt:
            return best, True
        return best, False

    before = _mean([score(one, {}) for one in recordings])
    parameters, interrupted = search(recordings)
    elsewhere: list[SiteScore] = []
    if held_out and len(recordings) > 1:
        for left_out in recordings:
            if not interrupted:
                chosen, interrupted = search([one for one in recordings if one is not left_out])
                elsewhere += [] if interrupted else [score(left_out, chosen)]
    return TunedFusion(
        parameters,
        before,
        _mean([score(one, parameters) for one in recordings]),
        _mean(elsewhere) if len(elsewhere) == len(recordings) else None,
        interrupted,
    )


def _now(names: Sequence[str], recorded: Recorded) -> dict[str, float]:
    """The parameters as the recording's site has them."""
    settings = fusion_settings(recorded.fusion)
    return {name: float(getattr(settings, setting_of(name))) for name in names}


def _mean(scores: Sequence[SiteScore]) -> SiteScore:
    corrected, published = (float(np.mean([getattr(one, way) for one in scores])) for way in ("corrected", "published"))
    return SiteScore(corrected, published)


def fragment(tuned: TunedFusion, recordings: Sequence[str]) -> str:
    """The parameters as they stand in a site's file, with what they reached."""
    lines = [
        f"# tuned on {', '.join(recordings)}: IDF1 {tuned.before.corrected:.2f} before, {tuned.after.corrected:.2f} "
        f"after; as published {tuned.before.published:.2f} and {tuned.after.published:.2f}",
        "# held out: "
        + (
            "not known; expect less elsewhere"
            if tuned.held_out is None
            else f"{tuned.held_out.corrected:.2f}, as published {tuned.held_out.published:.2f}"
        ),
        "fusion:",
        *(f"  {name}: {value:g}" for name, value in tuned.parameters.items()),
    ]
    return "\n".join(lines) + "\n"
