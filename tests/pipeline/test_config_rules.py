"""Lines and zones in the site's file: the short form, the full one, and the sentence for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from operators.analyse import Across, Anchor, Crowding, Severity
from pipeline.checks import check
from pipeline.config import ConfigError
from pipeline.config_file import load, parse

HERE = Path("plaza.yaml")
HEAD = "site: plaza\ncameras:\n  - id: north\n    source: north.mp4\n    crop: [0, 0, 640, 480]\n"
SQUARE = "[[10, 10], [90, 10], [90, 90], [10, 90]]"


def test_points_alone_make_a_line_and_a_zone() -> None:
    site = parse(HEAD + f"    lines: {{door: [[100, 400], [300, 400]]}}\n    zones: {{till: {SQUARE}}}\n", HERE)
    rules = site.rules(site.cameras[0])
    assert rules.lines[0].points == ((100, 400), (300, 400))
    assert (rules.lines[0].forward, rules.lines[0].anchor) == ("in", Anchor.FOOT)
    assert rules.zones[0].name == "till" and rules.interval_s == 60


def test_entrance_counting_through_the_middle_is_one_line() -> None:
    site = parse(HEAD + "    lines: {entrance: horizontal}\nflow_interval: 10s\n", HERE)
    rules = site.rules(site.cameras[0])
    assert (rules.lines[0].points, rules.lines[0].anchor) == (Across.HORIZONTAL, Anchor.CENTRE)
    assert rules.interval_s == 10


def test_everything_can_be_said() -> None:
    text = HEAD + (
        "    homography: [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]\n"
        "    lines:\n"
        "      door: {points: [[1, 400], [300, 400]], directions: [enter, leave], anchor: head, classes: [person],\n"
        "             band: 0.2, settle: 500ms, cool_down: 3s}\n"
        f"    zones:\n      dock: {{points: {SQUARE}, severity: alarm, restricted: true, confined: true,\n"
        "             loitering: 1m, stopped: 30s, direction: [[0, 0], [9, 0]], max_speed: 8,\n"
        "             crowding: {more_than: 5, for: 10s}, proximity: {closer: 1.5, for: 5s}}\n"
    )
    rules = parse(text, HERE).rules(parse(text, HERE).cameras[0])
    (line,), (zone,) = rules.lines, rules.zones
    assert (line.forward, line.backward, line.cool_down_s, line.settle_s) == ("enter", "leave", 3, 0.5)
    assert (zone.severity, zone.loitering_s, zone.crowding) == (Severity.ALARM, 60, Crowding(5, 10))
    assert zone.proximity is not None and zone.proximity.closer_m == 1.5


def test_a_site_without_lines_zones_and_interval_analyses_nothing() -> None:
    site = parse(HEAD, HERE)
    assert not site.rules(site.cameras[0])


def test_every_camera_of_a_range_has_its_lines() -> None:
    text = "site: p\ncameras:\n  - {id: 'g{n}', range: [1, 2], source: 'rtsp://h/{n}', lines: {a: [[1, 1], [2, 2]]}}\n"
    assert [list(camera.lines) for camera in parse(text, HERE).cameras] == [["a"], ["a"]]


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ("zones: {till: [[5, 5]]}", "line 6: cameras[0].zones.till: a zone needs at least three different points"),
        ("zones: {t: [[0, 0], [9, 9], [9, 0], [0, 9]]}", "zones.t: its outline crosses or touches itself at 4.5, 4.5"),
        ("lines: {door: [[5, 5]]}", "line 6: cameras[0].lines.door: a line needs at least two points, this one has 1"),
        ("lines: {door: [[700, 5], [900, 5]]}", "line 6: cameras[0].lines.door: it lies outside the picture (x 700"),
        ("zones: {t: [[700, 5], [900, 5], [900, 9]]}", "cameras[0].zones.t: it lies outside the picture"),
        (
            "lines: {a: [[1, 1], [2, 2]], a: [[1, 1], [2, 2]]}",
            "line 6: 'a' stands here twice; give each a name of its own",
        ),
        ("lines: {a: [[1, 1], [2, 2]]}\n    zones: {a: [[1, 1], [9, 1], [9, 9]]}", "name of a line as well"),
        (
            "lines: {a: {points: [[1, 1], [2, 2]], classes: [persn]}}",
            "line 6: cameras[0].lines.a.classes: unknown class 'persn'; did you mean 'person'?",
        ),
        ("lines: {a: diagonal}", "cameras[0].lines.a.points: 'diagonal' is no line: write points, or `horizontal`"),
        ("lines: {a: [1, 2]}", "cameras[0].lines.a.points: write points as [[x, y], [x, y], ...]"),
        ("lines: {a: {points: horizontal, anchr: foot}}", "lines.a.anchr: unknown field; did you mean 'anchor'?"),
        ("lines: {a: {anchor: foot}}", "lines.a.points: this field is missing; add `points:`"),
        ("lines: {a: {points: horizontal, directions: [in, in]}}", "both directions are called 'in'"),
        (
            f"zones: {{t: {{points: {SQUARE}, max_speed: 3}}}}",
            "zones.t: metres need a calibrated camera: give it a `homography`",
        ),
        (f"zones: {{t: {{points: {SQUARE}, loitering: soon}}}}", "zones.t.loitering: 'soon' is no duration"),
        (f"zones: {{t: {{points: {SQUARE}, direction: [[1, 1]]}}}}", "zones.t.direction: write two points"),
        (
            f"zones: {{t: {{points: {SQUARE}, loitering: 0s}}}}",
            "zones.t.loitering: 0s is too small; write more than 0",
        ),
        (f"zones: {{t: {{points: {SQUARE}, crowding: 5}}}}", "write its fields: more_than, for"),
        (
            f"zones: {{t: {{points: {SQUARE}, classes: []}}}}",
            "zones.t.classes: 0 are too few; write at least 1, or leave",
        ),
        (
            f"zones: {{t: {{points: {SQUARE}, severity: bad}}}}",
            "severity: input should be 'info', 'warning' or 'alarm'",
        ),
        ("lines: [[1, 1], [2, 2]]", "cameras[0].lines: write each of its lines under a name of its own, as in `door:"),
        ("lines: {1: [[1, 1], [2, 2]]}", "line 6: cameras[0].lines[1]: a name is text; write it in quotes, as in '1'"),
        ("lines: {'': [[1, 1], [2, 2]]}", "this name is empty; write one"),
        (
            "lines: {a: {points: horizontal, directions: ['', out]}}",
            "lines.a: a direction has an empty name; give both",
        ),
        ("lines: {a: {points: horizontal, directions: [a, b, c]}}", "lines.a.directions: 3 are too many; write 2"),
        ("zones: {t: [[0, 0], [9, 9], [20, 20]]}", "zones.t: all points of this zone lie on one line; give it a width"),
        ("lines: {a: [[.nan, 1], [2, 2]]}", "lines.a[0][0]: this is no number to work with; write a finite one"),
    ],
)
def test_a_mistake_is_named_with_line_field_and_remedy(rules: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(HEAD + f"    {rules}\n", HERE)
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_an_interval_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"line 6: flow_interval: 0s is too small; write 0\.1 or more"):
        parse(HEAD + "flow_interval: 0s\n", HERE)


def test_what_only_the_source_can_tell_is_checked_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,-1,10,10,20,20,0.9\n")
    file = tmp_path / "site.yaml"
    base = "site: p\ncameras:\n  - id: a\n    source: 'detections:a.txt'\n    fps: 10\n    lines: {%s}\n"
    file.write_text(base % "hall: horizontal")
    with pytest.raises(
        ConfigError, match=r"site\.yaml, line 6: cameras\[0\]\.lines\.hall: the picture's size is not known"
    ):
        check(load(file))
    file.write_text(base % "hall: {points: [[1, 1], [2, 2]], classes: [elephant]}")
    with pytest.raises(ConfigError, match=r"line 6: cameras\[0\]\.lines\.hall\.classes: unknown class 'elephant'"):
        check(load(file))


def test_a_line_outside_a_video_is_found_before_the_start_in_the_entry_that_it_stands_in(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    video = Path(__file__).parents[2] / "configs" / "media" / "walkway.mp4"
    for number in (7, 8):
        (tmp_path / f"{number}.mp4").symlink_to(video)
    file.write_text(
        "site: p\ncameras:\n  - {id: a, source: 7.mp4}\n  - id: 'gate-{n:02d}'\n    range: [7, 8]\n"
        "    source: '{n}.mp4'\n    lines:\n      door: [[800, 5], [900, 5]]\n"
    )
    with pytest.raises(ConfigError) as error:
        check(load(file))
    assert str(error.value).startswith(
        f"{file}, line 8: cameras[1].lines.door: it lies outside the picture (x 800 to 900"
    )
    assert "the picture is 768 x 576" in str(error.value)
