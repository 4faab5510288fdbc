"""The site from above: paths in metres and their picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from operators.palette import identity_color
from pipeline.ground_paths import PlanError, ground_paths
from pipeline.plan_view import PlanCamera, footprint, plan_view, write_plan_view

SECOND = 1_000_000
NOON = 1_244_721_600 * SECOND
SIZE = (640, 480)
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "pets_s2l1"


def tracks(camera: str, track: int, number: int, places, *, start_s: float = 0, box=(300, 200, 330, 280)):
    """A value of the `tracks` topic: places in metres, ten a second, None where there is none."""
    points = [
        [NOON + round((start_s + n / 10) * SECOND), *box, 0.9, *(place or (None, None))]
        for n, place in enumerate(places)
    ]
    return {
        "site": "plaza",
        "camera": camera,
        "track": track,
        "class": "person",
        "identity": f"plaza-{number:06d}",
        "number": number,
        "start": points[0][0],
        "end": points[-1][0],
        "points": points,
    }


def walk(start=(0.0, 0.0), end=(8.0, 4.0), steps: int = 80) -> list[tuple[float, float]]:
    x, y = (np.linspace(a, b, steps) for a, b in zip(start, end, strict=True))
    return list(zip(x.tolist(), y.tolist(), strict=True))


class TestPaths:
    def test_a_straight_walk_stays_straight(self):
        (path,) = ground_paths([tracks("a", 1, 3, walk())], site="plaza")
        (piece,) = path.pieces
        assert np.allclose(piece[:, 1], piece[:, 0] / 2, atol=0.01)
        assert path.length == pytest.approx(np.hypot(8, 4), abs=0.4)
        assert path.cameras == ("a",)
        assert (path.end_ns - path.start_ns) / 1e9 == pytest.approx(7.9)

    def test_a_box_that_jumps_for_a_frame_leaves_no_spike(self):
        places = walk()
        places[40] = (4.0, 30.0)
        (path,) = ground_paths([tracks("a", 1, 3, places)], site="plaza")
        assert max(piece[:, 1].max() for piece in path.pieces) < 5

    def test_the_line_is_lifted_over_a_jump_and_over_a_long_absence(self):
        places = [*walk((0, 0), (3, 0), 30), *walk((20, 0), (23, 0), 30)]
        (jump,) = ground_paths([tracks("a", 1, 3, places)], site="plaza")
        assert len(jump.pieces) == 2
        records = [tracks("a", 1, 3, walk((0, 0), (3, 0), 30)), tracks("a", 2, 3, walk((4, 0), (7, 0), 30), start_s=30)]
        (absence,) = ground_paths(records, site="plaza")
        assert len(absence.pieces) == 2
        assert absence.length == pytest.approx(6, abs=0.4)

    def test_two_cameras_on_one_person_make_one_line(self):
        shifted = [(x, y + 0.4) for x, y in walk()]
        (path,) = ground_paths([tracks("a", 1, 3, walk()), tracks("b", 5, 3, shifted)], site="plaza")
        (piece,) = path.pieces
        assert np.allclose(piece[:, 1], piece[:, 0] / 2 + 0.2, atol=0.02)
        assert path.cameras == ("a", "b")

    def test_order_of_records_makes_no_difference(self):
        records = [tracks("a", 1, 3, walk()[n : n + 10], start_s=n / 10) for n in range(0, 80, 10)]
        (one,), (other,) = (ground_paths(given, site="plaza") for given in (records, records[::-1]))
        assert np.array_equal(one.pieces[0], other.pieces[0])

    def test_follows_corrections(self):
        records = [tracks("a", 1, 3, walk()), tracks("a", 2, 4, walk()), tracks("a", 3, 5, walk())]
        paths = ground_paths(records, site="plaza", identity_of=lambda _, track, start: {1: 3, 2: 3, 3: None}[track])
        assert [path.identity for path in paths] == [3]

    def test_feet_below_the_picture_are_not_believed(self):
        cut = tracks("a", 1, 3, [(50.0, 50.0)] * 20, box=(300, 200, 330, 480))
        whole = tracks("a", 1, 3, walk(), start_s=2)
        (path,) = ground_paths([cut, whole], site="plaza", sizes={"a": SIZE})
        assert max(piece.max() for piece in path.pieces) < 10

    def test_without_any_calibrated_camera_says_what_to_do(self):
        with pytest.raises(PlanError, match=r"none of its cameras \(a, b\) is calibrated; give .* a `homography`"):
            ground_paths([tracks("b", 1, 3, [None] * 5), tracks("a", 1, 3, [None] * 5)], site="plaza")

    def test_one_calibrated_camera_is_enough(self):
        paths = ground_paths([tracks("b", 1, 3, [None] * 5), tracks("a", 1, 4, walk())], site="plaza")
        assert [path.identity for path in paths] == [4]

    def test_without_tracks_says_so(self):
        with pytest.raises(PlanError, match="'plaza' has no tracks"):
            ground_paths([], site="plaza")


class TestFootprint:
    def test_of_a_camera_straight_above_is_its_picture(self):
        camera = PlanCamera("a", np.diag([0.01, 0.01, 1.0]), SIZE)
        outline = footprint(camera, (-100, -100, 100, 100))
        assert {tuple(corner) for corner in outline.round(6).tolist()} == {(0, 0), (6.4, 0), (6.4, 4.8), (0, 4.8)}

    def test_is_clipped_to_the_plan(self):
        camera = PlanCamera("a", np.diag([0.01, 0.01, 1.0]), SIZE)
        outline = footprint(camera, (1, 1, 3, 2))
        assert outline.min(axis=0).tolist() == pytest.approx([1, 1])
        assert outline.max(axis=0).tolist() == pytest.approx([3, 2])
        assert len(footprint(camera, (20, 20, 30, 30))) == 0

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_of_a_picture_with_sky_ends_at_the_plan_and_not_behind_the_camera(self, sign):
        # A camera 3 m up, looking along Y with the horizon in the middle of its picture, focal length 400 pixels.
        to_ground = sign * np.array([[3.0, 0, -3.0 * 320], [0, 0, 3.0 * 400], [0, 1, -240]])
        outline = footprint(PlanCamera("a", to_ground, SIZE), (-10, -5, 10, 50))
        assert outline[:, 1].min() == pytest.approx(5)  # where the lower edge of the picture meets the ground
        assert outline[:, 1].max() == pytest.approx(50)


class TestPicture:
    def test_shows_every_path_in_its_colour(self, tmp_path):
        records = [tracks("a", 1, 3, walk()), tracks("a", 2, 11, walk((0, 4), (8, 0)))]
        camera = PlanCamera("a", np.diag([0.02, 0.02, 1.0]), SIZE)
        paths = write_plan_view(records, tmp_path / "made" / "plan.png", site="plaza", cameras=[camera], width=800)
        image = cv2.imread(str(tmp_path / "made" / "plan.png"))
        assert [path.identity for path in paths] == [3, 11]
        assert image.shape[1] == 800
        assert 300 < image.shape[0] < 1000
        for number in (3, 11):
            alike = np.abs(image.astype(int) - identity_color(number)).max(axis=2) < 12
            assert alike.sum() > 150

    def test_same_paths_same_picture(self):
        paths = ground_paths([tracks("a", 1, 3, walk())], site="plaza")
        assert (plan_view(paths, site="plaza", width=500) == plan_view(paths, site="plaza", width=500)).all()

    @pytest.mark.parametrize(
        "places",
        [
            pytest.param([(3.0, 4.0)], id="one point"),
            pytest.param([(3.0, 4.0)] * 50, id="somebody who stands"),
            pytest.param(walk((0, 0), (400, 1), 300), id="a long straight road"),
            pytest.param(walk((1e5, 1e5), (1e5, 1e5 + 50)), id="far from the origin"),
        ],
    )
    def test_copes_with(self, places):
        paths = ground_paths([tracks("a", 1, 3, places)], site="plaza")
        image = plan_view(paths, site="plaza", width=600)
        alike = np.abs(image.astype(int) - identity_color(3)).max(axis=2) < 12
        assert alike.any()

    def test_lists_no_more_identities_than_fit(self):
        records = [tracks("a", n, n, walk((0, n / 50), (8, n / 50))) for n in range(1, 200)]
        image = plan_view(ground_paths(records, site="plaza"), site="plaza", width=700)
        assert image.shape[0] < 700

    @pytest.mark.skipif(not DATA.is_dir(), reason="needs the PETS sequence beside the checkout (shared/data)")
    def test_real_street(self):
        to_ground = np.loadtxt(DATA / "foot_to_world.txt")
        rows = np.loadtxt(DATA / "gt.txt", delimiter=",")
        rows = rows[rows[:, 6] == 1]
        records = []
        for person in np.unique(rows[:, 1]).astype(int):
            mine = rows[rows[:, 1] == person]
            feet = np.stack([mine[:, 2] + mine[:, 4] / 2, mine[:, 3] + mine[:, 5], np.ones(len(mine))])
            ground = to_ground @ feet
            value = tracks("a", person, person, (ground[:2] / ground[2]).T.tolist())
            for point, frame in zip(value["points"], mine[:, 0], strict=True):
                point[0] = NOON + round((frame - 1) / 10 * SECOND)
            records.append(value)
        paths = ground_paths(records, site="plaza")
        image = plan_view(paths, site="plaza", cameras=[PlanCamera("a", to_ground, (768, 576))], width=900)
        assert len(paths) == len(records)
        assert (image.std(axis=2) > 30).sum() > 5000
