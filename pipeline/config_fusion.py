"""What a site's file says of fusion: its bounds, its beliefs, and the ways between cameras."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.durations import Seconds


class Model(BaseModel):
    """A part of the file: unknown fields are errors, and what was given is not repeated in them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


Odds = Annotated[float, Field(ge=-20, le=20)] | None


class Way(Model):
    """How long it takes from leaving the view of one camera to coming into the view of another.

    Attributes:
        from_, to: camera ids.
        min, typical, max: what nearly nobody is faster than, what is usual, what nearly nobody is slower than. A
            `min` of 0 says that somebody may be in both views at once.
        both_ways: it takes as long back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)
    from_: Annotated[str, Field(alias="from")]
    to: str
    min: Annotated[Seconds, Field(ge=0)]
    typical: Annotated[Seconds, Field(ge=0)]
    max: Annotated[Seconds, Field(gt=0)]
    both_ways: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min <= self.typical <= self.max or self.min == self.max:
            raise ValueError("write min <= typical <= max, with min below max")
        if self.from_ == self.to:
            raise ValueError("a path leads from one camera to another; give two")
        return self


class Fusion(Model):
    """How identities are made. What is not given is fusion's own, see `mtmct.settings.FusionSettings`.

    Odds are log-likelihood ratios in nats. `crosscam tune fusion` finds those below `searchable` from ground truth.

    Attributes:
        max_gap: an identity not seen for so long is closed.
        min_evidence: points a track must have before it is linked.
        max_wait: a track is linked after so long, with whatever evidence there is.
        publish: `decided` holds a track back until it is linked; `provisional` publishes it at once under a guess
            that is marked as one.
        searchable: so long after it was last seen a closed identity can still be found by `crosscam search`.
        gallery: `flat` compares a look with all others; `ivf` with a part of them where there are very many: for
            sites of hundreds of cameras, at the price of looks that are missed.
        travel_times: `learned` lets the times between the views of cameras without a homography count, as they are
            learned from who is recognised, and with them through which side of the picture people come and go; `off`
            does not. For sites with many people whose looks say little.
        clock_skew: `report` measures how far the clocks of calibrated cameras with a common view disagree, in
            `clock_skew` events; `apply` reckons with it, too, up to ten seconds; `off` does neither.
        paths: times between views where they are known, calibrated cameras included; they count from the start, and
            what is learned corrects them.
        only_paths: whoever leaves a view comes next where one of `paths` leads, and nowhere else.
        link_odds: a track is linked if the best identity beats all others and a new arrival by this much.
        first_link_odds: the same where there are homographies and yet only looks speak for it: for who comes back.
        hand_over: a camera that shows two identities at once for no longer may show one, whose tracker went over to
            somebody else for a moment; that moment is taken back.
        hand_over_odds: what each such moment says.
        merge_odds: two identities that share positions are merged at this score.
        second_look_odds: two that look alike are merged if that beats all else by this much.
        split_odds: a track leaves an identity when its positions contradict it by this much.
        move_odds: a track moves to another identity that explains its positions better by this much.
        returns: log-odds that a new track is somebody known rather than a new arrival.
        least_rivals: with fewer known identities away than this, each is as likely to return as one of so many.
        inside: added where a track begins away from the picture's edges.
        unseen_overlap: what it says to be seen by two cameras at once of which it is not known that they overlap.
        class_mismatch: what different classes say that detectors mistake for each other.
        area_per_person: square metres of ground a person has in a crowd.
        surprise: share of positions that fit no model.
        decorrelation: errors of positions closer in time than this are one error.
        position_memory: after a gap of this length the last position is trusted at 1/e.
        velocity_memory: how long a walker keeps direction and speed.
        drift: a contradiction counts from this distance on, metres.
    """

    max_gap: Annotated[Seconds, Field(gt=0)] = 300.0
    min_evidence: Annotated[int, Field(ge=1)] = 3
    max_wait: Annotated[Seconds, Field(ge=0)] = 2.0
    publish: Literal["decided", "provisional"] = "decided"
    searchable: Annotated[Seconds, Field(ge=0)] = 0.0
    gallery: Literal["flat", "ivf"] | None = None
    travel_times: Literal["off", "learned"] = "off"
    clock_skew: Literal["off", "report", "apply"] = "off"
    paths: tuple[Way, ...] = ()
    only_paths: bool = False
    link_odds: Odds = None
    first_link_odds: Odds = None
    hand_over: Annotated[Seconds, Field(ge=0)] | None = None
    hand_over_odds: Odds = None
    merge_odds: Odds = None
    second_look_odds: Odds = None
    split_odds: Annotated[float, Field(gt=0, le=100)] | None = None
    move_odds: Annotated[float, Field(gt=0, le=100)] | None = None
    returns: Odds = None
    least_rivals: Annotated[int, Field(ge=1)] | None = None
    inside: Odds = None
    unseen_overlap: Odds = None
    class_mismatch: Odds = None
    area_per_person: Annotated[float, Field(gt=0)] | None = None
    surprise: Annotated[float, Field(gt=0, lt=1)] | None = None
    decorrelation: Annotated[Seconds, Field(gt=0)] | None = None
    position_memory: Annotated[Seconds, Field(gt=0)] | None = None
    velocity_memory: Annotated[Seconds, Field(gt=0)] | None = None
    drift: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _paths_agree(self) -> Self:
        if self.only_paths and not self.paths:
            raise ValueError("`only_paths` needs `paths`: nobody could go anywhere")
        told: set[tuple[str, str]] = set()
        for way in self.paths:
            if way.max > self.max_gap:
                raise ValueError(f"the path from {way.from_} to {way.to} takes longer than max_gap; raise max_gap")
            for pair in [(way.from_, way.to), *([(way.to, way.from_)] if way.both_ways else [])]:
                if pair in told:
                    raise ValueError(f"the path from {pair[0]} to {pair[1]} is given twice; give it once")
                told.add(pair)
        return self
