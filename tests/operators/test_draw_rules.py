"""What lines and zones look like on a picture, small and large."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from operators.analyse import Line, Rules, Severity, Zone
from operators.draw import Rect, Style
from operators.draw_rules import SEVERITY_COLOR, OpenIncident, RuleState, draw_rule_labels, draw_rules

SIZES = [(640, 360), (3840, 2160)]


def rules(width: int, height: int) -> Rules:
    def place(*points: tuple[float, float]) -> tuple[tuple[float, float], ...]:
        return tuple((x * width, y * height) for x, y in points)

    return Rules(
        lines=(
            Line("door", place((0.1, 0.5), (0.6, 0.5))),
            Line("gate", place((0.3, 0.1), (0.3, 0.95)), "west", "east"),
        ),
        zones=(Zone("till", place((0.65, 0.2), (0.95, 0.2), (0.95, 0.7), (0.65, 0.7))),),
    )


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def overlap(one: Rect, other: Rect) -> int:
    wide, high = min(one.x2, other.x2) - max(one.x1, other.x1), min(one.y2, other.y2) - max(one.y1, other.y1)
    return max(wide, 0) * max(high, 0)


@pytest.mark.parametrize("size", SIZES)
def test_a_line_is_white_and_a_zone_tints_what_is_inside_it(size) -> None:
    width, height = size
    image = grey(*size)
    draw_rules(image, rules(*size), RuleState(), Style.for_height(height))
    assert image[round(0.5 * height), round(0.15 * width)].min() > 220
    inside, outside = image[round(0.45 * height), round(0.8 * width)], image[round(0.9 * height), round(0.8 * width)]
    assert inside.tolist() != outside.tolist() == [90, 90, 90]


@pytest.mark.parametrize("size", SIZES)
def test_labels_can_be_read_lie_inside_and_hide_neither_each_other_nor_what_is_taken(size) -> None:
    style = Style.for_height(size[1])
    bar = Rect(0, 0, size[0], 3 * style.text)
    state = RuleState({("door", "in"): 12, ("door", "out"): 3}, {"till": 4})
    spots = draw_rule_labels(grey(*size), rules(*size), state, style, taken=[bar])
    assert len(spots) == 7  # two directions and a name for each line, one for the zone
    for spot in spots:
        assert 0 <= spot.x1 < spot.x2 <= size[0] and 0 <= spot.y1 < spot.y2 <= size[1]
        assert spot.y2 - spot.y1 >= max(8, size[1] / 58)
    assert not any(overlap(one, other) for one, other in combinations([bar, *spots], 2))


def test_the_count_of_a_direction_stands_on_the_side_that_it_leads_to() -> None:
    lines = Rules(lines=(Line("hall", ((40.0, 180.0), (600.0, 180.0))),))  # left to right: down is `in`
    into, out, _ = draw_rule_labels(grey(640, 360), lines, RuleState(), Style.for_height(360))
    assert into.y1 > 180 > out.y2


def test_another_count_looks_otherwise_and_the_same_looks_the_same() -> None:
    def drawn(number: int) -> np.ndarray:
        image = grey(640, 360)
        draw_rule_labels(image, rules(640, 360), RuleState({("door", "in"): number}), Style.for_height(360))
        return image

    assert (drawn(3) == drawn(3)).all()
    assert (drawn(3) != drawn(8)).any()


def test_a_zone_with_incidents_has_the_colour_of_the_worst_and_names_each() -> None:
    open_ = OpenIncident("loitering", Severity.INFO), OpenIncident("restricted", Severity.ALARM)
    image, style = grey(640, 360), Style.for_height(360)
    state = RuleState(incidents={"till": open_})
    draw_rules(image, rules(640, 360), state, style)
    tint = image[160, 512].astype(float) - 90
    alarm = np.array(SEVERITY_COLOR[Severity.ALARM], float) - 90
    assert tint @ alarm / np.linalg.norm(tint) / np.linalg.norm(alarm) > 0.98
    quiet = draw_rule_labels(grey(640, 360), rules(640, 360), RuleState(), style)
    assert len(draw_rule_labels(image, rules(640, 360), state, style)) == len(quiet) + 2


def test_scaled_down_they_are_where_they_would_be_in_a_small_picture() -> None:
    style = Style.for_height(360)
    small, scaled = grey(640, 360), grey(640, 360)
    draw_rules(small, rules(640, 360), RuleState(), style)
    draw_rules(scaled, rules(3840, 2160), RuleState(), style, scale=1 / 6)
    assert np.abs(small.astype(int) - scaled).max() <= 2


def test_what_lies_partly_or_wholly_outside_does_no_harm() -> None:
    image = grey(640, 360)
    far = Rules(
        lines=(Line("far", ((-5e5, 180.0), (5e5, 180.0))),),
        zones=(
            Zone("edge", ((600.0, 300.0), (900.0, 300.0), (900.0, 500.0))),
            Zone("off", ((-9.0, -9.0), (-5.0, -9.0), (-5.0, -5.0))),
        ),
    )
    draw_rules(image, far, RuleState(), Style.for_height(360))
    for spot in draw_rule_labels(image, far, RuleState(), Style.for_height(360)):
        assert 0 <= spot.x1 < spot.x2 <= 640 and 0 <= spot.y1 < spot.y2 <= 360
