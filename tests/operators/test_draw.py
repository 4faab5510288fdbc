"""What ends up on a picture."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.draw import (
    Privacy,
    Style,
    annotate,
    blur_boxes,
    draw_bar,
    draw_boxes,
    draw_labels,
    draw_trails,
    place_labels,
)
from operators.lettering import fitting_height, put_text, text_size
from operators.palette import UNKNOWN, identity_color, readable_on
from operators.trails import Trail, TrailBook

SECOND = 1_000_000_000


def picture(width: int = 480, height: int = 360, level: int = 90) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def linear(color) -> np.ndarray:
    values = np.asarray(color, float)[::-1] / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(color) -> np.ndarray:
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return to_lab @ np.cbrt(to_lms @ linear(color))


class TestColours:
    def test_any_two_of_25_identities_in_a_row_look_different(self):
        colours = [oklab(identity_color(number)) for number in range(1, 26)]
        assert min(np.linalg.norm(a - b) for a, b in combinations(colours, 2)) > 0.07

    def test_an_identity_keeps_its_colour(self):
        # Written down: a new release must not repaint what people have learnt to recognise.
        assert [identity_color(number) for number in (1, 2, 17, 1_000_000)] == [
            (0, 154, 247),
            (0, 154, 116),
            (255, 170, 142),
            identity_color(0),
        ]

    def test_no_identity_is_grey(self):
        assert identity_color(-1) == UNKNOWN

    def test_ink_can_be_read_on_every_colour(self):
        weights = np.array([0.2126, 0.7152, 0.0722])
        for number in range(25):
            ground, ink = (
                float(weights @ linear(c)) for c in (identity_color(number), readable_on(identity_color(number)))
            )
            assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 4.0


class TestBoxes:
    def test_outline_has_the_identitys_colour_and_the_inside_stays(self):
        image = picture()
        draw_boxes(image, np.array([[100, 120, 160, 260]], np.float32), [7], Style.for_height(360))
        assert tuple(image[190, 99]) == identity_color(7)
        assert tuple(image[260, 130]) == identity_color(7)
        assert (image[140:250, 110:150] == 90).all()

    def test_label_stands_on_the_box(self):
        image = picture()
        draw_labels(image, np.array([[100, 120, 160, 260]], np.float32), [7], Style.for_height(360))
        chip = (image[100:118, 98:130] == identity_color(7)).all(axis=2)
        assert chip.mean() > 0.2
        assert (image[:95] == 90).all()

    def test_boxes_that_are_no_boxes_are_left_out(self):
        image = picture()
        boxes = np.array([[np.nan, 1, 2, 3], [np.inf, 0, 1, 1]], np.float32)
        draw_boxes(image, boxes, [1, 2], Style.for_height(360))
        draw_labels(image, boxes, [1, 2], Style.for_height(360))
        assert (image == 90).all()

    def test_a_box_far_larger_than_the_picture_leaves_it_alone(self):
        image = picture()
        draw_boxes(image, np.array([[-1e9, -1e9, 1e9, 1e9]], np.float32), [1], Style.for_height(360))
        assert (image == 90).all()

    def test_an_object_without_identity_has_a_grey_box_and_no_label(self):
        image = picture()
        draw_labels(image, np.array([[100, 120, 160, 260]], np.float32), [-1], Style.for_height(360))
        assert (image == 90).all()
        draw_boxes(image, np.array([[100, 120, 160, 260]], np.float32), [-1], Style.for_height(360))
        assert tuple(image[190, 99]) == UNKNOWN

    def test_part_of_a_larger_canvas_can_be_drawn_on(self):
        canvas = picture(960, 720)
        draw_boxes(canvas[100:460, 200:680], np.array([[10, 20, 60, 90]], np.float32), [3], Style.for_height(360))
        assert tuple(canvas[150, 209]) == identity_color(3)
        assert (canvas[:100] == 90).all()
        assert (canvas[:, :200] == 90).all()

    @pytest.mark.parametrize(("height", "least", "most"), [(360, 8, 14), (720, 11, 20), (2160, 30, 60)])
    def test_text_grows_with_the_picture(self, height, least, most):
        assert least <= Style.for_height(height).text <= most


class TestLabels:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(-200, 700), st.integers(-200, 500), st.integers(1, 300), st.integers(1, 300))),
        st.integers(1, 4),
    )
    def test_stay_inside_the_picture_wherever_the_box_is(self, boxes, digits):
        corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.int64).reshape(-1, 4)
        size = (12 * digits, 20)
        for spot in place_labels(corners, [size] * len(boxes), (480, 360), 2):
            assert spot.x1 >= 0
            assert spot.y1 >= 0
            assert spot.x2 <= 480
            assert spot.y2 <= 360
            assert (spot.x2 - spot.x1, spot.y2 - spot.y1) == size

    def test_of_people_side_by_side_do_not_cover_each_other(self):
        boxes = np.array([(100 + 12 * n, 120 + 3 * n, 140 + 12 * n, 220) for n in range(6)])
        spots = place_labels(boxes, [(34, 18)] * 6, (480, 360), 2)
        for a, b in combinations(spots, 2):
            assert a.x2 <= b.x1 or b.x2 <= a.x1 or a.y2 <= b.y1 or b.y2 <= a.y1

    def test_keep_clear_of_the_title_bar(self):
        image = picture()
        bar = draw_bar(image, "north", "12:00:31", Style.for_height(360))
        (spot,) = place_labels(np.array([[100, 10, 150, 200]]), [(40, 18)], (480, 360), 2, [bar])
        assert spot.y1 >= bar.y2

    def test_wider_than_the_picture_still_starts_inside(self):
        (spot,) = place_labels(np.array([[5, 50, 15, 90]]), [(100, 18)], (60, 120), 2)
        assert spot.x1 == 0


class TestAnnotate:
    def test_leaves_the_original_as_it_is_and_takes_a_read_only_one(self):
        image = picture()
        image.setflags(write=False)
        shown = annotate(
            image,
            np.array([[100, 120, 160, 260]], np.float32),
            [4],
            trails=[Trail(4, np.array([[20, 250], [130, 260]], np.float32), np.array([0.1, 1], np.float32))],
            title="north",
            clock="12:00:31",
            counts={"door in": 12, "door out": 9},
            privacy=Privacy.HEAD,
        )
        assert (image == 90).all()
        assert shown.shape == image.shape
        assert (shown[:12] != 90).any(), "no title bar"
        assert (shown[-40:, :80] != 90).any(), "no counts"
        assert (shown[240:262, 30:90] != 90).any(), "no trail"

    def test_nothing_to_say_changes_nothing(self):
        image = picture()
        assert (annotate(image, np.zeros((0, 4), np.float32), []) == image).all()

    def test_same_input_same_picture(self):
        boxes = np.array([[100, 120, 160, 260], [130, 110, 190, 250]], np.float32)
        first, second = (annotate(picture(), boxes, [1, 2], title="a", clock="b") for _ in range(2))
        assert (first == second).all()


class TestPrivacy:
    def noise(self) -> np.ndarray:
        return np.random.default_rng(5).integers(0, 255, (360, 480, 3), np.uint8)

    def test_whole_box_keeps_no_detail_and_the_rest_keeps_all(self):
        image, original = self.noise(), self.noise()
        blur_boxes(image, np.array([[100, 100, 180, 300]], np.float32), Privacy.WHOLE)
        assert image[100:300, 100:180].std() < 0.25 * original[100:300, 100:180].std()
        assert (image[:80] == original[:80]).all()
        assert (image[:, :80] == original[:, :80]).all()

    def test_head_is_the_upper_part_only(self):
        image, original = self.noise(), self.noise()
        blur_boxes(image, np.array([[100, 100, 180, 300]], np.float32), Privacy.HEAD)
        assert image[100:145, 100:180].std() < 0.25 * original[100:145, 100:180].std()
        assert (image[155:] == original[155:]).all()

    def test_face_is_the_middle_of_the_top_only(self):
        image, original = self.noise(), self.noise()
        blur_boxes(image, np.array([[100, 100, 180, 300]], np.float32), Privacy.FACE)
        assert image[100:130, 122:158].std() < 0.3 * original[100:130, 122:158].std()
        assert (image[140:] == original[140:]).all()
        assert (image[:, :110] == original[:, :110]).all()

    @pytest.mark.parametrize("part", [Privacy.FACE, Privacy.HEAD])
    def test_of_a_box_that_is_a_head_all_is_hidden(self, part):
        image, original = self.noise(), self.noise()
        boxes = np.array([[100, 100, 180, 200], [300, 100, 380, 300]], np.float32)
        blur_boxes(image, boxes, part, ["head", "person"])
        assert image[100:200, 100:180].std() < 0.25 * original[100:200, 100:180].std()
        assert (image[160:300, 300:380] == original[160:300, 300:380]).all()

    def test_boxes_on_the_edge_outside_and_unreal_do_no_harm(self):
        image = self.noise()
        boxes = [[-50, -50, 20, 20], [470, 350, 900, 900], [600, 0, 700, 50], [np.nan, 0, 1, 1], [5, 5, 5, 5]]
        blur_boxes(image, np.array(boxes, np.float32), Privacy.WHOLE)
        assert image[0:15, 0:15].std() < 60

    def test_none_is_the_default_and_changes_nothing(self):
        image = self.noise()
        blur_boxes(image, np.array([[100, 100, 180, 300]], np.float32), Privacy.NONE)
        assert (image == self.noise()).all()


class TestText:
    def test_is_as_large_as_text_size_says(self):
        image = picture(300, 80, 0)
        width, height = text_size("plaza 17", 18)
        put_text(image, "plaza 17", 20, 10, 18, (255, 255, 255))
        rows, columns = np.nonzero(image.max(axis=2))
        assert columns.min() >= 20
        assert columns.max() < 20 + width
        assert rows.min() >= 10
        assert rows.max() < 10 + height

    def test_that_reaches_over_the_edge_is_cut_there(self):
        image = picture(40, 20, 0)
        put_text(image, "a very long text", -30, -5, 18, (255, 255, 255))
        put_text(image, "elsewhere", 400, 400, 18, (255, 255, 255))
        assert image.any()

    def test_accents_are_dropped_rather_than_shown_as_question_marks(self):
        assert text_size("Süd-Éntree", 14) == text_size("Sud-Entree", 14)

    def test_shrinks_to_fit(self):
        height = fitting_height("a long name of a camera", 30, 150)
        assert height < 30
        assert text_size("a long name of a camera", height)[0] <= 150
        assert fitting_height("short", 12, 400) == 12


class TestTrails:
    def test_hold_the_last_seconds_only(self):
        book = TrailBook(span_ns=3 * SECOND)
        for tick in range(100):
            book.add(1, tick * SECOND // 10, tick, 50)
        (trail,) = book.trails(99 * SECOND // 10)
        assert trail.points[0, 0] == 69
        assert trail.points[-1, 0] == 99
        assert trail.freshness[-1] == 1

    def test_memory_does_not_grow_with_identities_that_never_come_back(self):
        book = TrailBook(span_ns=3 * SECOND)
        for tick in range(20_000):
            book.add(tick // 5, tick * SECOND // 10, 0, 0)
            assert len(book) <= 61

    def test_are_lifted_where_nothing_was_seen(self):
        book = TrailBook(span_ns=10 * SECOND, gap_ns=SECOND)
        for time_s, x in ((0, 0), (0.5, 5), (3, 100), (3.5, 105)):
            book.add(1, int(time_s * SECOND), x, 0)
        assert [trail.points[:, 0].tolist() for trail in book.trails(4 * SECOND)] == [[0, 5], [100, 105]]

    def test_points_that_come_late_or_twice_are_left_out(self):
        book = TrailBook()
        for time_s in (1.0, 1.2, 1.1, 1.2, 1.3):
            book.add(1, int(time_s * SECOND), time_s, 0)
        (trail,) = book.trails(2 * SECOND)
        assert len(trail.points) == 3

    def test_fade_with_age(self):
        image = picture(480, 360, 0)
        points = np.stack([np.linspace(20, 460, 30), np.full(30, 180)], axis=1).astype(np.float32)
        draw_trails(image, [Trail(2, points, np.linspace(0, 1, 30, dtype=np.float32))], Style.for_height(360))
        strength = image[178:183].max(axis=(0, 2)).astype(int)
        assert strength[40] < strength[240] < strength[440]
        assert not image[:170].any()

    def test_outside_the_picture_are_not_drawn(self):
        image = picture()
        points = np.array([[-500, -500], [-400, -450]], np.float32)
        draw_trails(image, [Trail(1, points, np.ones(2, np.float32))], Style.for_height(360))
        assert (image == 90).all()
