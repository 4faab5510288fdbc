"""Heat maps and trails: where people were, over the picture and on the floor, fading by event time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from two_people import write
from typer.testing import CliRunner

from mtmct.corrections import IdentityResolver
from operators.heat import heat_levels, lay_heat
from operators.palette import identity_color
from pipeline.cli import app
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.whereabouts import FloorPictures, WhereaboutsError, camera_heat, camera_trails, whereabouts

SECOND = 1_000_000_000
GREY = np.full((360, 640, 3), 90, np.uint8)


def value(track: int, number: int, path: list[tuple[float, float]], *, start_s: float = 0.0, camera: str = "a") -> dict:
    """A `tracks` value: feet along a path, ten places a second, metres a hundredth of the pixels."""
    points = [
        [round(start_s * 1e6 + n * 1e5), x - 10, y - 50, x + 10, y, 0.9, x / 100, y / 100]
        for n, (x, y) in enumerate(path)
    ]
    common = {"camera": camera, "track": track, "number": number, "class": "person", "frames": list(range(len(path)))}
    return {**common, "start": points[0][0], "end": points[-1][0], "points": points}


def along(y: float) -> list[tuple[float, float]]:
    return [(float(x), y) for x in np.linspace(100, 500, 41)]


def who(camera: str, track: int, start: int) -> int | None:
    return {1: 1, 2: 2}.get(track)


EARLY, LATE = value(1, 1, along(150)), value(2, 2, along(300), start_s=60)
RETRACTED = value(3, 3, along(225))


def changed(image: np.ndarray, row: int) -> float:
    """How much a row of a picture of trails differs from one where nobody was."""
    return float(np.abs(image[row - 3 : row + 4, 200:400].astype(int) - image[340, 300]).max())


def test_trails_have_the_colours_of_identities_and_fade_with_age() -> None:
    seen = whereabouts([EARLY, LATE, RETRACTED], who)
    even, faded = (camera_trails(seen.cameras["a"], GREY, "a", half) for half in (None, 20.0))
    assert np.abs(even[150, 300].astype(int) - identity_color(1)).max() < 60
    assert np.abs(even[300, 300].astype(int) - identity_color(2)).max() < 60
    assert changed(faded, 150) < 0.4 * changed(even, 150)
    assert changed(faded, 300) > 0.8 * changed(even, 300)


def test_who_was_retracted_leaves_nothing() -> None:
    seen = whereabouts([EARLY, LATE, RETRACTED], who)
    assert set(seen.cameras["a"].identities.tolist()) == {1, 2}
    assert changed(camera_trails(seen.cameras["a"], GREY, "a", None), 225) == 0


def test_heat_is_laid_over_the_picture_where_people_were() -> None:
    heat = camera_heat(whereabouts([EARLY, LATE], who).cameras["a"], GREY, "a", None)
    assert heat.shape == GREY.shape
    red = heat[:, 300, 2].astype(int)
    assert red[150] > red[225] + 60 and red[300] > red[225] + 60


def test_until_a_time_only_what_was_before_it_is_seen() -> None:
    seen = whereabouts([EARLY, LATE], who, until_ns=30 * SECOND)
    assert set(seen.cameras["a"].identities.tolist()) == {1}
    with pytest.raises(WhereaboutsError, match="nobody was seen"):
        whereabouts([LATE], who, until_ns=30 * SECOND)


def test_a_trail_is_lifted_where_nothing_was_seen_for_a_second() -> None:
    again = value(1, 1, along(150), start_s=10)
    trails = list(whereabouts([EARLY, again], who).cameras["a"].pieces(None))
    assert max(float(np.abs(np.diff(trail.points[:, 0])).max()) for trail in trails) == pytest.approx(10)


def test_the_floor_shows_the_same_in_metres() -> None:
    records = [EARLY, LATE]
    seen = whereabouts(records, who)
    assert seen.floor is not None
    assert seen.floor.points[:, 0].max() == pytest.approx(5)
    floor = FloorPictures(records, seen.floor, site="plaza", cameras=[], identity_of=who, width=800)
    heat, trails = floor.heat(None), floor.trails(None)
    assert heat.shape == trails.shape and heat.shape[1] == 800
    assert (np.abs(trails.astype(int) - identity_color(1)).max(axis=2) < 40).sum() > 50
    assert heat[..., 2].max() > 200


def test_uncalibrated_cameras_have_no_floor() -> None:
    bare = value(1, 1, along(150))
    bare["points"] = [[*point[:6], None, None] for point in bare["points"]]
    assert whereabouts([bare], who).floor is None


def test_heat_lies_where_its_points_do_in_a_picture_of_any_shape() -> None:
    levels = heat_levels(np.array([[30.0, 10.0]]), np.array([0]), (0, 0, 40, 20), (200, 50), None)
    assert levels.shape == (50, 200)
    assert np.unravel_index(levels.argmax(), levels.shape) == (25, 150)
    cold = GREY.copy()
    lay_heat(cold, np.zeros((360, 640), np.uint8))
    assert cold.max() < 90 and len(np.unique(cold)) == 1


def test_the_command_writes_a_file_a_camera_and_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(SqliteWriter(tmp_path / "ledger.sqlite", "plaza"))
    for camera in ("east", "west"):
        (tmp_path / f"{camera}.txt").write_text("1,-1,10,10,20,20,0.9\n")
    (tmp_path / "plaza.yaml").write_text(
        "site: plaza\nledger: {sqlite: {path: ledger.sqlite}}\ncameras:\n"
        "  - {id: east, source: 'detections:east.txt', fps: 10}\n"
        "  - {id: west, source: 'detections:west.txt', fps: 10}\n"
    )
    result = CliRunner().invoke(app, ["heat", "plaza.yaml", "--half-life", "10s", "--output", "out"])
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"heat-east.png", "trails-east.png", "heat-west.png", "trails-west.png"} <= names
    assert all(cv2.imread(str(tmp_path / "out" / name)) is not None for name in names)
    assert CliRunner().invoke(app, ["heat", "plaza.yaml", "--half-life", "0s"]).exit_code == 2


def test_a_resolver_says_who_is_who() -> None:
    resolver = IdentityResolver()
    published = {**EARLY, "identity": "plaza-000001", "site": "plaza", "revision": 0}
    resolver.published(published)
    assert set(whereabouts([published], resolver.identity_of).cameras["a"].identities.tolist()) == {1}
