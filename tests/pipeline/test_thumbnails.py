"""Small pictures of whom a live camera tracks: which is kept, when it is written, how long it stays, and who has it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_site import make_site
from two_people import write

from mtmct.records import CameraBatch
from operators.draw import Privacy
from operators.records import Detections, Float32, Frame, pack
from pipeline import thumbnail_files
from pipeline.address import Place, find
from pipeline.assembly import build_source, build_thumbnails
from pipeline.camera import CameraChain, Delivery
from pipeline.config import ConfigError
from pipeline.config_file import parse
from pipeline.erase import erase_identity
from pipeline.ledger.sqlite import SqliteWriter
from pipeline.thumbnail_files import CameraThumbnails, Kept
from pipeline.thumbnails import HEIGHT, Thumbnails

SECOND = 1_000_000_000
FPS = 10
SIZE = (480, 640)
TEXTURE = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
FOR_EVER = 10**18

Box = tuple[float, float, float, float]


def files_of(folder: Path, keep_ns: int = FOR_EVER, most: int = FOR_EVER) -> CameraThumbnails:
    return CameraThumbnails(folder, "north", keep_ns, most)


def frame(number: int, image: np.ndarray = TEXTURE) -> Frame:
    return Frame("north", number, number * SECOND // FPS, image)


def look(one: Thumbnails, number: int, *boxes: Box, image: np.ndarray = TEXTURE, score: float = 0.9) -> None:
    """Tracks 1, 2, ... are in these boxes."""
    there = np.array(boxes, np.float32).reshape(-1, 4)
    one.look(frame(number, image), np.arange(len(boxes)) + 1, there, np.full(len(boxes), score, np.float32))


def kept(folder: Path) -> dict[int, Kept]:
    found = (thumbnail_files.find(folder, "north", track, 0, FOR_EVER) for track in range(1, 1000))
    return {one.track: one for one in found if one is not None}


def shown(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path)))


@pytest.fixture
def begun(tmp_path: Path) -> Thumbnails:
    one = Thumbnails(files_of(tmp_path))
    one.begin()
    return one


def written(one: Thumbnails, sequence: int = 0) -> None:
    one.close(sequence, 10 * SECOND)
    one.committed(sequence)
    one.flush(10)


NEAR, FAR = (200.0, 100.0, 320.0, 400.0), (200.0, 100.0, 212.0, 130.0)


def test_of_a_track_that_comes_near_the_largest_picture_is_kept_small(begun: Thumbnails, tmp_path: Path) -> None:
    look(begun, 0, FAR)
    look(begun, 10, NEAR)
    look(begun, 20, FAR)
    written(begun)
    (one,) = kept(tmp_path).values()
    assert (one.track, one.time) == (1, 1_000_000)
    height, width = shown(one.path).shape[:2]
    assert height == HEIGHT and width / height == pytest.approx(120 / 300, abs=0.03)
    assert one.path.stat().st_size < 20_000


@pytest.mark.parametrize("what", ["blurred", "unsure", "cut off", "hidden"])
def test_a_worse_look_takes_nothing_away(what: str, begun: Thumbnails, tmp_path: Path) -> None:
    look(begun, 0, NEAR)
    image = cv2.GaussianBlur(TEXTURE, (0, 0), 9) if what == "blurred" else TEXTURE
    boxes = {"cut off": [(-60.0, 100.0, 60.0, 400.0)], "hidden": [NEAR, (200.0, 110.0, 310.0, 470.0)]}
    look(begun, 30, *boxes.get(what, [NEAR]), image=image, score=0.3 if what == "unsure" else 0.9)
    written(begun)
    assert kept(tmp_path)[1].time == 0
    # The other way round the second is better, and takes its place.
    other = Thumbnails(files_of(tmp_path / "other"))
    other.begin()
    look(other, 0, *boxes.get(what, [NEAR]), image=image, score=0.3 if what == "unsure" else 0.9)
    look(other, 30, NEAR)
    written(other)
    assert kept(tmp_path / "other")[1].time == 3_000_000


def test_nothing_is_written_before_the_commit_that_tells_of_the_track_stands(tmp_path: Path) -> None:
    one = Thumbnails(files_of(tmp_path))
    one.begin()
    look(one, 0, FAR)
    one.close(7, SECOND)
    look(one, 10, NEAR)
    one.close(8, 2 * SECOND)
    one.committed(6)
    one.committed(7)
    one.flush(10)
    assert kept(tmp_path)[1].time == 0, "the better one belongs to a batch that is not committed"


def chain(thumbnails: Thumbnails | None, state: bytes | None = None) -> CameraChain:
    return CameraChain(
        site="plaza",
        camera="north",
        classes=("person",),
        interval_ns=SECOND,
        tracker=None,
        embedder=None,
        embed_every=3,
        thumbnails=thumbnails,
        epoch=1,
        sequence=0,
        state=state,
    )


def feed(one: CameraChain, numbers: Sequence[int], box: Box = NEAR) -> list[CameraBatch]:
    batches = []
    for number in numbers:
        seen: Float32 = np.array([box], np.float32)
        found = Detections(seen, np.array([0.9], np.float32), np.zeros(1, np.int32), None, np.array([17]))
        batches += one.add(Delivery(frame(number), pack(number), {"decoded": number}), found)
    return batches


def told(batches: Sequence[CameraBatch]) -> list[object]:
    return [
        (b.sequence, b.state, b.counts, [(t.track, t.boxes.tolist(), t.ended) for t in b.tracklets]) for b in batches
    ]


def test_a_camera_says_the_same_with_and_without_them(tmp_path: Path) -> None:
    one, other = chain(Thumbnails(files_of(tmp_path))), chain(None)
    assert told([*feed(one, range(25)), *one.finish()]) == told([*feed(other, range(25)), *other.finish()])


def test_a_worker_that_takes_over_keeps_a_better_picture_of_a_track_that_goes_on(tmp_path: Path) -> None:
    first = Thumbnails(files_of(tmp_path))
    batches = feed(chain(first), range(15))
    first.committed(0)
    first.flush(10)
    before = kept(tmp_path)[17]
    after = Thumbnails(files_of(tmp_path))
    feed(chain(after, batches[-1].state), range(15, 35), FAR)
    after.committed(1)
    after.flush(10)
    assert kept(tmp_path) == {17: before}


def test_of_another_track_under_a_number_of_a_run_before_there_is_no_wrong_picture(tmp_path: Path) -> None:
    first = Thumbnails(files_of(tmp_path))
    feed(chain(first), range(15))
    first.committed(0)
    first.flush(10)
    assert thumbnail_files.find(tmp_path, "north", 17, 5_000_000, 9_000_000) is None, "it was not seen at that time"
    second = Thumbnails(files_of(tmp_path))
    feed(chain(second), range(60, 75), FAR)
    second.committed(0)
    second.flush(10)
    assert kept(tmp_path)[17].time == 6_000_000, "a worse one, but his own"


def test_who_is_erased_is_gone_at_once_and_stays_so_while_he_is_still_seen(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    files.open()
    files.write(17, 0, 500, b"his")
    files.write(18, 0, 500, b"somebody else's")
    tracks = {("north", 17), ("south", 3)}
    assert thumbnail_files.erase(tmp_path, tracks, going_on={("north", 17)}) is None
    assert list(kept(tmp_path)) == [18]
    files.write(17, SECOND, 900, b"better")
    assert list(kept(tmp_path)) == [18]
    assert [path.name for path in (tmp_path / "north" / "0").iterdir() if path.suffix != ".jpg"] == ["17.gone"]
    files.end([17])
    assert sorted(path.name for path in (tmp_path / "north" / "0").iterdir()) == ["18-0-500.jpg"]


def test_a_mark_of_an_erased_track_does_not_outlive_the_run(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    files.open()
    files.write(17, 0, 500, b"his")
    thumbnail_files.erase(tmp_path, [("north", 17)], going_on=[("north", 17)])
    files_of(tmp_path).open(known=[17])
    assert (tmp_path / "north" / "0" / "17.gone").exists(), "he is still tracked"
    files_of(tmp_path).open(known=[])
    assert not (tmp_path / "north" / "0" / "17.gone").exists()


def test_the_oldest_go_by_age_and_where_all_are_too_much(tmp_path: Path) -> None:
    aged = files_of(tmp_path / "aged", keep_ns=60 * SECOND)
    aged.open()
    for track, second in ((1, 0), (2, 30), (203, 61)):
        aged.write(track, second * SECOND, 500, b"12345")
    assert list(kept(tmp_path / "aged")) == [2, 203]
    again = files_of(tmp_path / "aged", keep_ns=60 * SECOND)
    again.open()
    again.write(204, 95 * SECOND, 500, b"12345")
    assert list(kept(tmp_path / "aged")) == [203, 204], "what an earlier run has left goes, too"
    assert [path.name for path in (tmp_path / "aged" / "north").iterdir()] == ["1"], "empty folders go as well"
    many = files_of(tmp_path / "many", most=11)
    many.open()
    for track in range(1, 6):
        many.write(track, track * SECOND, 500, b"12345")
    assert list(kept(tmp_path / "many")) == [4, 5]


def test_what_is_too_old_goes_also_where_nobody_comes_any_more(tmp_path: Path) -> None:
    one = Thumbnails(files_of(tmp_path, keep_ns=60 * SECOND))
    alone = chain(one)
    feed(alone, range(15))
    alone.advance_to(59 * SECOND)
    one.committed(0)
    alone.advance_to(200 * SECOND)
    one.committed(1)
    alone.advance_to(300 * SECOND)
    one.committed(2)
    one.flush(10)
    assert not [*tmp_path.rglob("*.jpg")]


def test_everyone_in_it_can_be_made_unrecognisable(tmp_path: Path) -> None:
    def texture(privacy: Privacy) -> float:
        folder = tmp_path / privacy.value
        one = Thumbnails(files_of(folder), ("person",), privacy)
        one.begin()
        look(one, 0, (200.0, 100.0, 248.0, 205.0))
        written(one)
        return float(shown(kept(folder)[1].path)[16:-16, 8:-8].std())

    assert texture(Privacy.WHOLE) < 0.5 * texture(Privacy.NONE)


def test_a_disk_in_trouble_is_said_once_and_stops_no_camera(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    one = Thumbnails(files_of(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        batches = feed(chain(one), range(35))
        one.committed(2)
        one.flush(10)
    assert len(batches) == 3
    (said,) = [record.message for record in caplog.records]
    assert "camera 'north': pictures of people cannot be kept in" in said and "make room" in said


def test_they_lie_beside_the_ledger_and_go_with_an_erased_identity(tmp_path: Path) -> None:
    write(SqliteWriter(tmp_path / "ledger.sqlite", "plaza"))
    place = Place(file=tmp_path / "ledger.sqlite")
    folder = thumbnail_files.folder_of(place)
    for camera in ("east", "west"):
        files = CameraThumbnails(folder, camera, FOR_EVER, FOR_EVER)
        files.open()
        for track in (1, 2):
            files.write(track, 10 * SECOND, 500, b"a picture")
    assert erase_identity(place, "plaza-000001").left is None
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")) == [
        "east/0/2-10000000-500.jpg", "west/0/2-10000000-500.jpg",
    ]  # fmt: skip
    assert not list(folder.rglob("*.gone")), "these tracks have ended"


def test_a_folder_elsewhere_is_for_kafka_alone_as_an_erasure_would_not_find_it(tmp_path: Path) -> None:
    text = "site: plaza\ncameras: [{id: north, source: 'rtsp://127.0.0.1:9/a'}]\nthumbnails: {folder: /shared}\n"
    with pytest.raises(ConfigError, match=r"thumbnails\.folder: with an SQLite ledger they lie beside it"):
        parse(text, tmp_path / "plaza.yaml")
    site = parse(text + "ledger: {kafka: {bootstrap_servers: 'k:9092'}}\n", tmp_path / "plaza.yaml")
    assert thumbnail_files.folder_of(Place.of(site)) == Path("/shared")


def test_switched_off_nothing_is_left_of_what_was_kept_before(tmp_path: Path) -> None:
    file = make_site(tmp_path)
    place = find(str(file))
    assert place.site is not None
    folder = thumbnail_files.folder_of(place)
    files = CameraThumbnails(folder, "east", FOR_EVER, FOR_EVER)
    files.open()
    files.write(1, 0, 500, b"a picture")
    (folder / "east" / "notes.txt").write_text("of somebody else")

    east = place.site.camera("east")
    assert build_thumbnails(place.site, east, build_source(place.site, east)) is None
    assert [path.name for path in (folder / "east").iterdir()] == ["notes.txt"]
