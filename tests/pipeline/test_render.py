"""The mosaic of a site's cameras: from `tracks` values and pictures to a video that plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from still_tracks import NOON, SECOND, tracks

from operators.analyse import Line, Rules
from operators.draw import Privacy
from operators.palette import identity_color
from operators.records import CrosscamError, Frame
from pipeline.mosaic import Layout
from pipeline.recording import RecordedCamera
from pipeline.render import RenderError, render_mosaic

SIZE = (160, 120)
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "pets_s2l1"


def pictures(camera: str, count: int, *, fps: float = 10, start_ns: int = NOON, level: int = 90, size=SIZE):
    """A camera that looks at a grey wall."""
    image = np.full((size[1], size[0], 3), level, np.uint8)

    def frames() -> Iterator[Frame]:
        for number in range(count):
            yield Frame(camera, number + 1, start_ns + round(number * SECOND / fps), image)

    return RecordedCamera(camera, frames)


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def near(color, other, tolerance: int = 40) -> bool:
    """Whether two colours are alike after H.264."""
    return bool(np.abs(np.asarray(color, int) - np.asarray(other, int)).max() <= tolerance)


def edge_color(image: np.ndarray, layout: Layout, cell: int, box=(40, 40, 70, 100)):
    """What the left edge of a box looks like, halfway down."""
    corner = layout.cells[cell]
    return image[corner.y1 + (box[1] + box[3]) // 2, corner.x1 + box[0] - 1]


class TestVideo:
    def test_two_cameras_side_by_side_with_their_identities(self, tmp_path):
        records = [tracks("left", 1, 3, range(1, 11)), tracks("right", 1, 8, range(1, 11))]
        records += [tracks("left", 1, 3, range(11, 21)), tracks("right", 1, 8, range(11, 21))]
        seen = []
        report = render_mosaic(
            records,
            [pictures("left", 20), pictures("right", 20)],
            tmp_path / "made" / "mosaic.mp4",
            title="plaza",
            progress=lambda frames, time_ns: seen.append((frames, time_ns)),
        )
        images = decode(tmp_path / "made" / "mosaic.mp4")
        assert report.frames == len(images) == 20
        assert report.boxes == 40
        assert report.identities == 2
        assert report.late == 0
        assert images[0].shape[1::-1] == report.size
        assert report.size[0] > 2 * SIZE[0]
        layout = Layout.of([SIZE, SIZE], (1920, 1080))
        # Colours are halved in resolution by H.264, and the line is one pixel wide: compare which is nearer.
        for cell, number, other in ((0, 3, 8), (1, 8, 3)):
            found = edge_color(images[10], layout, cell).astype(int)
            assert np.abs(found - identity_color(number)).sum() < np.abs(found - identity_color(other)).sum()
        assert seen[0] == (1, NOON)
        assert seen[-1] == (20, NOON + 19 * SECOND // 10)

    def test_plays_at_the_speed_of_event_time(self, tmp_path):
        output = tmp_path / "mosaic.mp4"
        render_mosaic([], [pictures("a", 30, fps=15), pictures("b", 10, fps=5)], output, fps=10)
        with av.open(str(output)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            assert stream.width % 2 == stream.height % 2 == 0
            assert stream.average_rate == 10
            assert float(stream.duration * stream.time_base) == pytest.approx(2.0, abs=0.1)

    def test_same_input_same_pixels(self, tmp_path):
        for name in ("one.mp4", "two.mp4"):
            render_mosaic([tracks("a", 1, 3, range(1, 6))], [pictures("a", 5)], tmp_path / name)
        assert all((a == b).all() for a, b in zip(*map(decode, sorted(tmp_path.iterdir())), strict=True))

    def test_a_frame_rate_that_is_no_whole_number(self, tmp_path):
        report = render_mosaic([], [pictures("a", 30, fps=29.97)], tmp_path / "m.mp4", fps=29.97)
        assert report.frames == len(decode(tmp_path / "m.mp4")) == 30

    def test_skips_ahead_where_no_camera_has_a_picture(self, tmp_path):
        night = NOON + 6 * 3600 * SECOND
        report = render_mosaic(
            [tracks("b", 1, 2, range(1, 6), start_ns=night)],
            [pictures("a", 5), pictures("b", 5, start_ns=night)],
            tmp_path / "mosaic.mp4",
        )
        assert report.frames == 10
        assert report.boxes == 5

    def test_camera_that_ended_goes_dark_and_the_other_goes_on(self, tmp_path):
        report = render_mosaic([], [pictures("a", 5, level=200), pictures("b", 20, level=200)], tmp_path / "m.mp4")
        assert report.frames == 20
        first, last = decode(tmp_path / "m.mp4")[0], decode(tmp_path / "m.mp4")[-1]
        cells = Layout.of([SIZE, SIZE], (1920, 1080)).cells
        ended, running = (last[cell.y1 : cell.y2, cell.x1 : cell.x2] for cell in cells)
        assert np.median(ended) < 80
        assert np.median(running) > 180
        assert np.median(first) > 180
        assert (ended[50:70] > 150).any(), "no note in the middle"

    def test_detections_without_pictures_are_drawn_on_a_bare_ground(self, tmp_path):
        frames = [Frame("boxes", n + 1, NOON + n * SECOND // 10) for n in range(5)]
        report = render_mosaic(
            [tracks("boxes", 1, 3, range(1, 6))],
            [RecordedCamera("boxes", lambda: frames, SIZE)],
            tmp_path / "m.mp4",
        )
        assert report.boxes == 5

    def test_retracted_tracks_are_not_drawn_and_corrected_ones_have_their_new_number(self, tmp_path):
        records = [
            tracks("a", 1, 3, range(1, 6)),
            tracks("a", 2, 4, range(1, 6), (90, 40, 120, 100)),
        ]
        render_mosaic(
            records,
            [pictures("a", 5)],
            tmp_path / "m.mp4",
            identity_of=lambda camera, track, start: {("a", 1): 18, ("a", 2): None}[camera, track],
        )
        layout = Layout.of([SIZE], (1920, 1080))
        image = decode(tmp_path / "m.mp4")[2]
        found = edge_color(image, layout, 0).astype(int)
        assert np.abs(found - identity_color(18)).sum() < np.abs(found - identity_color(3)).sum()
        assert near(edge_color(image, layout, 0, (90, 40, 120, 100)), (90, 90, 90), 12)

    def test_privacy_hides_retracted_tracks_as_well(self, tmp_path):
        noise = np.random.default_rng(3).integers(0, 255, (120, 160, 3), np.uint8)
        frames = [Frame("a", n + 1, NOON + n * SECOND // 10, noise) for n in range(3)]
        render_mosaic(
            [tracks("a", 1, 3, range(1, 4))],
            [RecordedCamera("a", lambda: frames)],
            tmp_path / "m.mp4",
            identity_of=lambda camera, track, start: None,
            privacy=Privacy.WHOLE,
        )
        (cell,) = Layout.of([SIZE], (1920, 1080)).cells
        image = decode(tmp_path / "m.mp4")[1]
        assert image[cell.y1 + 45 : cell.y1 + 95, 45:65].std() < 0.5 * image[cell.y1 + 45 : cell.y1 + 95, 90:150].std()

    def test_a_line_is_drawn_with_what_it_had_counted_by_then(self, tmp_path):
        rules = Rules(lines=(Line("door", ((20.0, 180.0), (460.0, 180.0))),))
        crossing = {"camera": "a", "type": "crossing", "line": "door", "direction": "in", "counted": True}
        crossing["time"] = (NOON + SECOND // 2) // 1000
        camera = pictures("a", 10, size=(480, 360))
        camera = RecordedCamera("a", camera.open, None, rules)
        render_mosaic([], [camera], tmp_path / "with.mp4", events=[crossing])
        render_mosaic([], [camera], tmp_path / "without.mp4")
        (cell,) = Layout.of([(480, 360)], (1920, 1080)).cells
        counted, plain = decode(tmp_path / "with.mp4"), decode(tmp_path / "without.mp4")
        assert near(counted[0][cell.y1 + 180, cell.x1 + 120], (255, 255, 255), 60)
        differ = [bool(np.abs(one.astype(int) - other).max() > 60) for one, other in zip(counted, plain, strict=True)]
        assert differ == [False] * 5 + [True] * 5

    def test_privacy_hides_who_is_lost_for_a_moment(self, tmp_path):
        noise = np.random.default_rng(3).integers(0, 255, (120, 160, 3), np.uint8)
        frames = [Frame("a", n + 1, NOON + n * SECOND // 10, noise) for n in range(9)]
        records = [tracks("a", 1, 3, [1, 2, 8, 9])]
        render_mosaic(records, [RecordedCamera("a", lambda: frames)], tmp_path / "m.mp4", privacy=Privacy.WHOLE)
        (cell,) = Layout.of([SIZE], (1920, 1080)).cells
        for image in decode(tmp_path / "m.mp4"):
            hidden, open_ = (image[cell.y1 + 45 : cell.y1 + 95, x : x + 20] for x in (45, 120))
            assert hidden.std() < 0.5 * open_.std()

    def test_sixteen_large_cameras_keep_within_the_size_asked_for(self, tmp_path):
        cameras = [pictures(f"c{n}", 2, size=(1280, 720)) for n in range(16)]
        report = render_mosaic([], cameras, tmp_path / "m.mp4", max_size=(640, 480))
        assert report.size[0] <= 640
        assert report.size[1] <= 480

    @pytest.mark.skipif(not DATA.is_dir(), reason="needs the PETS sequence beside the checkout (shared/data)")
    def test_real_street_as_two_cameras(self, tmp_path):
        rows = np.loadtxt(DATA / "gt.txt", delimiter=",")
        rows = rows[(rows[:, 6] == 1) & (rows[:, 0] <= 40)]
        crops = {"left": (0, 448), "right": (320, 768)}

        def street(camera: str) -> Iterator[Frame]:
            left, right = crops[camera]
            with av.open(str(DATA / "vtest.avi")) as container:
                for number, frame in enumerate(container.decode(video=0)):
                    if number == 40:
                        return
                    image = frame.to_ndarray(format="bgr24")[:, left:right]
                    yield Frame(camera, number + 1, NOON + number * SECOND // 10, image)

        records = []
        for camera, (left, right) in crops.items():
            for second in range(4):
                for person in np.unique(rows[:, 1]).astype(int):
                    mine = rows[(rows[:, 1] == person) & ((rows[:, 0] - 1) // 10 == second)]
                    mine = mine[(mine[:, 2] > left) & (mine[:, 2] + mine[:, 4] < right)]
                    if len(mine):
                        value = tracks(camera, int(person), int(person), mine[:, 0].astype(int).tolist())
                        for point, (x, y, w, h) in zip(value["points"], mine[:, 2:6].tolist(), strict=True):
                            point[1:5] = [x - left, y, x - left + w, y + h]
                        records.append(value)
        records.sort(key=lambda value: value["end"] // 1_000_000)
        cameras = [RecordedCamera(camera, lambda camera=camera: street(camera)) for camera in crops]
        report = render_mosaic(records, cameras, tmp_path / "mosaic.mp4", title="plaza")
        assert report.frames == len(decode(tmp_path / "mosaic.mp4")) == 40
        assert report.boxes == sum(len(value["points"]) for value in records)


class TestErrors:
    def test_records_of_another_time_than_the_pictures(self, tmp_path):
        records = [tracks("a", 1, 3, range(1, 6), start_ns=NOON - 86400 * SECOND)]
        with pytest.raises(RenderError, match=r"2009-06-10 12:00:00 .* 2009-06-11 12:00:00.*start times"):
            render_mosaic(records, [pictures("a", 5)], tmp_path / "m.mp4")
        assert not list(tmp_path.iterdir())

    def test_source_that_breaks_leaves_no_half_a_video(self, tmp_path):
        closed = []

        def broken() -> Iterator[Frame]:
            try:
                yield from list(pictures("a", 4).open())
                raise CrosscamError("camera 'a': the file is damaged after frame 4")
            finally:
                closed.append("a")

        with pytest.raises(CrosscamError, match="damaged"):
            render_mosaic([], [RecordedCamera("a", broken), pictures("b", 9)], tmp_path / "m.mp4")
        assert not list(tmp_path.iterdir())
        assert closed == ["a"]

    @pytest.mark.parametrize(
        ("cameras", "name", "fps", "sentence"),
        [
            ([], "m.mp4", 10, "no camera to render"),
            ([pictures("a", 0)], "m.mp4", 10, "none of the cameras a has a single picture"),
            ([pictures("a", 3)], "m.avi", 10, "let the name end in .mp4"),
            ([pictures("a", 3)], "m.mp4", 0, "positive number"),
        ],
    )
    def test_what_cannot_be_rendered_is_said_in_a_sentence(self, tmp_path, cameras, name, fps, sentence):
        with pytest.raises(RenderError, match=sentence):
            render_mosaic([], cameras, tmp_path / name, fps=fps)
