"""Every number that fusion's judgement rests on, with its meaning and its unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mtmct.attributes import AttributeBeliefs
from operators.records import SECOND_NS


@dataclass(frozen=True, slots=True)
class AppearanceCalibration:
    """How much a cosine similarity says: `llr = clip(slope * cosine + offset, -clip, clip)`.

    Logistic calibration of scores to log-likelihood ratios as in speaker recognition (Brümmer and du Preez,
    "Application-independent evaluation of speaker detection", 2006). Each embedding model has its own.

    Attributes:
        slope: nats per unit of cosine.
        offset: nats at cosine 0; the cosine that says nothing either way is `-offset / slope`.
        clip: the most that appearance may say for or against, nats.
    """

    slope: float = 17.1
    offset: float = -13.6
    clip: float = 6.0

    def llr(self, cosine: float, gain: float = 1.0) -> float:
        """Log-likelihood ratio (nats) of a cosine that says `gain` times as much as that of a single pair of looks."""
        return min(max((self.slope * cosine + self.offset) * gain, -self.clip), self.clip)


@dataclass(frozen=True, slots=True)
class Motion:
    """How a class moves.

    The numbers for people on foot are those of pets_s2l1 and epfl_terrace: a velocity fitted over a second predicts
    where they are t seconds later with an error that grows by 0.3 to 0.6 m a second, in proportion to their speed.

    Attributes:
        wander: uncertainty of the speed of somebody who stands, one standard deviation, metres a second.
        unsteady: what speed adds to it, as a part of the speed.
        max_speed: faster than this it is somebody else, metres a second.
    """

    wander: float = 0.4
    unsteady: float = 0.4
    max_speed: float = 8.0


ON_FOOT = Motion()
ON_WHEELS = Motion(wander=2.0, max_speed=50.0)


def _motions() -> Mapping[str, Motion]:
    return {"person": ON_FOOT, "pedestrian": ON_FOOT, "people": ON_FOOT, "head": ON_FOOT}


@dataclass(frozen=True, slots=True)
class Path:
    """A way from the view of one camera into that of another, as the site's file gives it.

    Attributes:
        source, target: ids of the cameras.
        low_s, typical_s, high_s: seconds from leaving the one view to coming into the other.
    """

    source: str
    target: str
    low_s: float
    typical_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """What fusion believes before it has seen anything; scores are log-likelihood ratios in nats.

    Attributes:
        max_gap_s: an identity unseen for longer is closed and never found again.
        min_evidence: points a new local track needs before it is linked.
        max_wait_s: the longest a new track waits for more evidence; then it is decided as things stand.
        provisional: publish a track that waits under a guess, marked provisional, instead of holding it back.
        silence_s: a track without points for this long is taken for ended even if its camera never said so.
        window_s: how far back simultaneous positions are kept and looked at again.
        memory_s: how long an ended track stays open to correction.
        searchable_s: how long after it was last seen a closed identity can be searched for by its looks; it is
            never linked again.
        slot_s: grid on which positions of different cameras are compared.
        decorrelation_s: foot-point errors closer in time than this are one error, counted once.
        surprise: share of positions that fit no model (occluded feet, wrong boxes).
        area_per_person_m2: ground per person in a crowd: the density against which a near position is judged.
        near_m: positions farther apart than this are not compared at all.
        apart_m: simultaneous positions of one identity are never farther apart than this on average.
        velocity_memory_s: how long a walker keeps direction and speed.
        position_memory_s: after a gap of this length the last position is trusted at 1/e.
        appearance: calibration of the embedding model's cosines.
        attributes: how far attributes are trusted.
        motions: by class name; classes not named move like `other_motion`.
        other_motion: how the classes without an entry in `motions` move.
        interchangeable: groups of classes that detectors mistake for each other; members of different groups
            are never one identity.
        class_mismatch: what different classes of one group say.
        returns: log-odds that a new track is somebody known rather than a new arrival: two in three are.
        least_rivals: with fewer known identities away than this, each is as likely to return as one of so many.
        inside: added where the track begins away from the picture's edges, where nobody arrives.
        border: how near to the edge counts as at the edge, part of the picture's width or height.
        unseen_overlap: what it says that someone is seen by two cameras at once of which it is not known
            whether their views overlap.
        hand_over_s: a camera that shows two identities at once for no longer than this, at the end of a track of the
            one and the beginning of a track of the other, may show one, whose tracker went over to somebody else.
        hand_over_odds: what each such moment says. hand_over_odds_a_second: and each second of it.
        link_odds: a track is linked if the best identity beats all others and a new arrival by this much.
        first_link_odds: the same where cameras are calibrated and yet only looks speak for it, as for who comes back.
        merge_odds: two identities are merged at this score.
        second_look_s: how long after it was created an identity is compared again with those that look alike whenever
            much more has been seen; later it is when one of its tracks is over.
        second_look_odds: it is then merged if the best of them beats all others, and the newcomer, by this much.
        last_look_odds: the same when one of its tracks is about to be forgotten, after which nothing can be put right.
    split_odds: simultaneous positions contradict a link when they score below minus this over some seconds
        drift_m: and lie farther apart than this on average.
    unlike: a track is another's from where it looks like somebody else, and less like itself by this much than it
        usually does (nats of the calibration's slope).
    move_odds: a linked track moves to another identity that explains its positions better by this much.
        shortlist: candidates that appearance may bring in per track.
        exemplars: embeddings kept per identity.
        track_exemplars: embeddings kept per local track.
        shard_s: length of a gallery shard; shards are dropped whole.
        gallery: `flat` or `ivf`, see `mtmct.gallery`.
        travel: whether times between views are learned and count; for calibrated cameras positions do.
        travel_memory_s: learned travel times are forgotten exponentially, to 1/e in this time.
        paths: given travel times; the learned start from them.
        only_paths: whoever leaves a view comes next only where a path leads.
        member_limit: local tracks listed per identity; of older ones only what they taught is kept.
        clock_skew: `report` measures how far the cameras' clocks disagree, `apply` corrects it, see `mtmct.clocks`.
    """

    max_gap_s: float = 300.0
    min_evidence: int = 3
    max_wait_s: float = 2.0
    provisional: bool = False
    silence_s: float = 30.0
    window_s: float = 10.0
    memory_s: float = 30.0
    searchable_s: float = 0.0
    slot_s: float = 0.25
    decorrelation_s: float = 1.0
    surprise: float = 0.03
    area_per_person_m2: float = 25.0
    near_m: float = 8.0
    apart_m: float = 3.0
    velocity_memory_s: float = 3.0
    position_memory_s: float = 15.0
    appearance: AppearanceCalibration = field(default_factory=AppearanceCalibration)
    attributes: AttributeBeliefs = field(default_factory=AttributeBeliefs)
    motions: Mapping[str, Motion] = field(default_factory=_motions)
    other_motion: Motion = ON_WHEELS
    interchangeable: tuple[tuple[str, ...], ...] = (
        ("person", "pedestrian", "people"),
        ("car", "van", "truck", "bus", "vehicle"),
        ("bicycle", "motorcycle", "motor", "tricycle", "awning-tricycle"),
    )
    class_mismatch: float = -2.0
    returns: float = 0.7
    least_rivals: int = 3
    inside: float = 1.5
    border: float = 0.04
    unseen_overlap: float = -1.0
    hand_over_s: float = 6.0
    hand_over_odds: float = -2.0
    hand_over_odds_a_second: float = -0.5
    link_odds: float = 0.7
    first_link_odds: float = 3.0
    merge_odds: float = 3.0
    second_look_s: float = 300.0
    second_look_odds: float = 0.0
    last_look_odds: float = 1.0
    split_odds: float = 5.0
    drift_m: float = 1.5
    unlike: float = 8.0
    move_odds: float = 4.0
    shortlist: int = 16
    exemplars: int = 8
    track_exemplars: int = 3
    shard_s: float = 60.0
    gallery: str = "flat"
    travel: bool = False
    travel_memory_s: float = 14400.0
    paths: tuple[Path, ...] = ()
    only_paths: bool = False
    member_limit: int = 512
    clock_skew: str = "off"

    @property
    def max_gap_ns(self) -> int:
        """`max_gap_s` in nanoseconds."""
        return round(self.max_gap_s * SECOND_NS)

    @property
    def slot_ns(self) -> int:
        """`slot_s` in nanoseconds."""
        return round(self.slot_s * SECOND_NS)

    def motion(self, cls: str) -> Motion:
        """How a class moves."""
        return self.motions.get(cls, self.other_motion)

    def class_llr(self, one: str, other: str) -> float:
        """What the classes say: 0 if equal, `class_mismatch` within a group, minus infinity otherwise."""
        if one == other:
            return 0.0
        together = any(one in group and other in group for group in self.interchangeable)
        return self.class_mismatch if together else float("-inf")
