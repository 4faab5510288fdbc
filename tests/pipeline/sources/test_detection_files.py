"""Detections made elsewhere: what is read, what is refused, and that refused rows are kept and counted."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_videos import frames_of

from pipeline.sources.base import DEFAULT_CLASSES, Source, SourceError
from pipeline.sources.factory import open_source

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
SECOND = 1_000_000_000


def mot(folder: Path, *rows: str, name: str = "det.txt", **options: Any) -> Source:
    (folder / name).write_text("\n".join(rows) + "\n")
    return open_source("cam", f"detections:{name}", base=folder, **{"fps": 10.0, **options})


def rows_file(folder: Path, rows: Sequence[dict[str, Any] | str], kind: str = "jsonl", **options: Any) -> Source:
    if kind == "jsonl":
        (folder / "det.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), folder / "det.parquet")
    return open_source("cam", f"detections:det.{kind}", base=folder, **options)


def reasons(source: Source) -> list[str]:
    return [rejected.reason for rejected in source.take_rejected()]


class TestMotText:
    def test_boxes_become_corners_at_the_time_of_their_frame(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "1,-1,10,20,30,40,0.75,-1,-1,-1", "3,-1,1.5,2,3,4,0.5,-1,-1,-1", fps=25)
        assert source.brings == "boxes"
        assert not source.brings_embeddings
        assert source.classes == DEFAULT_CLASSES
        first, empty, third = frames_of(source)
        assert first.given.boxes.tolist() == [[10, 20, 40, 60]]
        assert (first.given.boxes.dtype, first.given.scores.dtype) == (np.float32, np.float32)
        assert (first.given.scores[0], first.given.classes[0], first.given.ids) == (0.75, 0, None)
        assert len(empty.given) == 0
        assert third.given.boxes.tolist() == [[1.5, 2, 4.5, 6]]
        assert [f.index for f in (first, empty, third)] == [1, 2, 3]
        assert [f.time_ns for f in (first, empty, third)] == [0, SECOND // 25, 2 * SECOND // 25]

    def test_ids_other_than_minus_one_make_it_a_file_of_tracks(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "2,7,1,1,2,2,1", "1,0,5,5,2,2,1", "1,7,1,1,2,2,1")
        assert source.brings == "tracks"
        first, second = frames_of(source)
        assert first.given.ids.tolist() == [0, 7]
        assert second.given.ids.tolist() == [7]

    def test_ground_truth_sorted_by_id_is_read_by_frame(self, tmp_path: Path) -> None:
        source = mot(tmp_path, *(f"{frame},{track},1,1,2,2,1" for track in (1, 2) for frame in range(1, 4)))
        assert [f.given.ids.tolist() for f in frames_of(source)] == [[1, 2]] * 3

    def test_blanks_may_stand_for_commas_and_an_unknown_score_is_one(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "1 -1 1.494e+03 2.1e2 10 20 -1 -1 -1 -1", "", "\ufeff")
        (frame,) = frames_of(source)
        assert frame.given.scores.tolist() == [1]
        assert frame.given.boxes[0, 0] == 1494

    def test_classes_are_numbered_as_the_export_numbers_them(self, tmp_path: Path) -> None:
        rows = [f"1,-1,{10 * n},1,5,5,1,{cls}" for n, cls in enumerate((1, 3, 8, 101, 0, -1))]
        source = mot(tmp_path, *rows, classes=("truck", "person", "forklift", "car"))
        (frame,) = frames_of(source)
        names = [source.classes[c] for c in frame.given.classes]
        assert names == ["person", "car", "truck", "forklift", "truck", "truck"]

    def test_classes_that_are_not_wanted_are_left_out_and_counted(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "1,-1,1,1,5,5,1,1", "1,-1,9,1,5,5,1,7", "2,-1,9,1,5,5,1,7", classes=("person",))
        assert [len(f.given) for f in frames_of(source)] == [1, 0]
        assert source.counts == {"decoded": 2, "rows.other_class": 2}
        assert source.take_rejected() == []

    def test_world_coordinates_in_the_eighth_column_are_no_classes(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "1,4,1,1,5,5,1,-3.52,4.1,0", "2,4,1,1,5,5,1,7.0,4.1,0")
        assert [f.given.classes.tolist() for f in frames_of(source)] == [[0], [0]]
        assert source.take_rejected() == []

    @pytest.mark.parametrize(
        ("row", "reason", "says"),
        [
            ("2,-1,1,1,5", "malformed", "5 columns"),
            ("2,-1,1,1,five,5,1", "malformed", "no number"),
            ("0,-1,1,1,5,5,1", "malformed", "counted from 1"),
            ("2.5,-1,1,1,5,5,1", "malformed", "whole number"),
            ("nan,-1,1,1,5,5,1", "malformed", "whole number"),
            ("2,-1,nan,1,5,5,1", "bad_box", "four numbers"),
            ("2,-1,1,inf,5,5,1", "bad_box", "four numbers"),
            ("2,-1,1,1,-5,5,1", "bad_box", "-5 wide and 5 high"),
            ("2,-1,1,1,5,0,1", "bad_box", "0 high"),
            ("2,-1,1e9,1,5,5,1", "bad_box", "pixels"),
            ("2,-1,1,1,5,5,1.5", "bad_score", r"\[0, 1\]"),
            ("2,-1,1,1,5,5,nan", "bad_score", r"\[0, 1\]"),
            ("2,-1,1,1,5,5,1,2.5", "malformed", "class"),
            ("2,8,1,1,5,5,1", "bad_id", "file of boxes"),
            ("2,-7,1,1,5,5,1", "bad_id", "0 or more"),
        ],
    )
    def test_a_row_that_cannot_be_read_is_rejected_and_the_rest_is_read(
        self, tmp_path: Path, row: str, reason: str, says: str
    ) -> None:
        good = [f"{frame},-1,1,1,5,5,1,1" for frame in [1] * 999 + [2, 3]]
        source = mot(tmp_path, *good[:1000], row, good[1000])
        frames = []
        told = {}
        source.open(None)
        while hasattr(item := source.read(), "given"):
            frames.append(item)
            for rejected in source.take_rejected():
                told[item.index] = rejected
        assert [len(f.given) for f in frames] == [999, 1, 1]
        assert source.counts == {"decoded": 3, "rows.rejected": 1}
        (at,) = told
        assert at == 2
        assert (told[at].reason, told[at].payload) == (reason, row)
        assert told[at].detail.startswith(f"{tmp_path / 'det.txt'}, row 1001: ")
        assert re.search(says, told[at].detail)
        assert told[at].time_ns == (at - 1) * SECOND // 10

    def test_in_a_file_of_tracks_every_row_has_an_id_and_none_twice(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "1,4,1,1,5,5,1", "1,-1,1,1,5,5,1", "1,4,2,1,5,5,1", "2,4,1,1,5,5,1")
        assert [f.given.ids.tolist() for f in frames_of(source)] == [[4], [4]]
        first, second = source.take_rejected()
        assert (first.reason, second.reason) == ("bad_id", "bad_id")
        assert "no id" in first.detail
        assert "second row of id 4 in frame 1" in second.detail

    def test_a_wild_frame_number_makes_up_no_frames(self, tmp_path: Path) -> None:
        source = mot(tmp_path, "1,-1,1,1,5,5,1", "2,-1,1,1,5,5,1", "99999999,-1,1,1,5,5,1")
        assert [f.index for f in frames_of(source)] == [1, 2, 99_999_999]

    def test_the_public_benchmark_files_are_read_whole(self) -> None:
        if not SHARED.exists():
            pytest.skip("needs ../shared/data")
        for name, brings, rows in (
            ("pets_s2l1/det.txt", "boxes", 4359),
            ("pets_s2l1/gt.txt", "tracks", 4650),
            ("cmc1/det_cam1.txt", "boxes", 1187),
        ):
            source = open_source("cam", f"detections:{SHARED / name}", fps=10)
            assert source.brings == brings
            assert sum(len(f.given) for f in frames_of(source)) == rows
            assert source.take_rejected() == []


class TestCrop:
    def test_boxes_are_cut_shifted_and_left_out_as_the_camera_would_see_them(self, tmp_path: Path) -> None:
        source = mot(
            tmp_path,
            "1,-1,110,60,20,20,1",  # inside
            "1,-1,90,60,30,30,1",  # a third outside
            "1,-1,90,60,15,30,1",  # two thirds outside
            "2,-1,10,10,20,20,1",  # outside
            crop=(100, 50, 300, 250),
        )
        first, second = frames_of(source)
        assert first.given.boxes.tolist() == [[10, 10, 30, 30], [0, 10, 20, 40]]
        assert len(second.given) == 0
        assert source.counts == {"decoded": 2, "rows.outside_crop": 2}
        assert source.size == (200, 200)


BOX = [10.0, 20.0, 40.0, 90.0]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
class TestRows:
    def test_all_fields(self, tmp_path: Path, kind: str) -> None:
        rows = [
            {"time": 0.5, "frame": 6, "id": 3, "box": BOX, "score": 0.75, "cls": "car", "embedding": [3.0, 4.0]},
            {"time": 0.5, "frame": 6, "id": 4, "box": BOX, "score": 0.5, "cls": "person", "embedding": None},
            {"time": 0.7, "frame": 8, "id": None, "box": None, "score": None, "cls": None, "embedding": None},
            {"time": 0.8, "frame": 9, "id": 3, "box": BOX, "score": None, "cls": "boat", "embedding": [0.0, 2.0]},
        ]
        source = rows_file(tmp_path, rows, kind)
        assert (source.brings, source.brings_embeddings) == ("tracks", True)
        first, empty, last = frames_of(source)
        assert (first.index, empty.index, last.index) == (6, 8, 9)
        assert (first.time_ns, empty.time_ns, last.time_ns) == (SECOND // 2, 700_000_000, 800_000_000)
        assert first.given.ids.tolist() == [3, 4]
        assert first.given.scores.tolist() == [0.75, 0.5]
        assert [source.classes[c] for c in first.given.classes] == ["car", "person"]
        assert np.array_equal(first.given.embeddings, np.float32([[0.6, 0.8], [np.nan] * 2]), equal_nan=True)
        assert len(empty.given) == 0
        assert empty.given.embeddings.shape == (0, 2)
        assert len(last.given) == 0
        assert source.counts == {"decoded": 3, "rows.other_class": 1}
        assert source.take_rejected() == []

    def test_without_frame_numbers_distinct_times_are_counted(self, tmp_path: Path, kind: str) -> None:
        source = rows_file(tmp_path, [{"time": t, "box": BOX, "score": 0.5} for t in (0.1, 0.1, 0.35, 2.0)], kind)
        assert [(f.index, len(f.given)) for f in frames_of(source)] == [(1, 2), (2, 1), (3, 1)]
        assert source.brings == "boxes"

    def test_without_times_the_rate_gives_them(self, tmp_path: Path, kind: str) -> None:
        rows = [{"frame": n, "box": BOX, "score": 0.5} for n in (1, 1, 4)]
        source = rows_file(tmp_path, rows, kind, fps=5, clock_offset_ms=10)
        assert [(f.index, f.time_ns) for f in frames_of(source)] == [(1, 10_000_000), (4, 610_000_000)]
        with pytest.raises(SourceError, match="give the camera's `fps`"):
            rows_file(tmp_path, rows, kind).open(None)

    def test_seconds_count_from_the_start_and_real_times_stand_for_themselves(self, tmp_path: Path, kind: str) -> None:
        start = datetime(2026, 1, 2, 3, tzinfo=UTC)
        seconds = rows_file(tmp_path, [{"time": 1.5, "box": BOX}], kind, start=start, clock_offset_ms=-500)
        expected = round((start + timedelta(seconds=1)).timestamp()) * SECOND
        assert frames_of(seconds)[0].time_ns == expected
        for text in ("2026-01-02T03:00:01.5Z", "2026-01-02T04:00:01.500+01:00", "2026-01-02 03:00:01.5"):
            real = rows_file(tmp_path, [{"time": text, "box": BOX}], kind, start=start, clock_offset_ms=-500)
            assert frames_of(real)[0].time_ns == expected

    def test_with_times_the_rate_is_a_cap(self, tmp_path: Path, kind: str) -> None:
        rows = [{"time": n / 25, "box": BOX} for n in range(50)]
        source = rows_file(tmp_path, rows, kind, fps=5)
        assert len(frames_of(source)) == 10
        assert source.counts == {"decoded": 50, "dropped.fps_cap": 40}

    @pytest.mark.parametrize(
        ("change", "reason", "says"),
        [
            ({"box": [1.0, 2.0, 3.0]}, "bad_box", "write [x1, y1, x2, y2]"),
            ({"box": [40.0, 20.0, 10.0, 90.0]}, "bad_box", "-30 wide"),
            ({"box": [float("nan"), 2.0, 3.0, 4.0]}, "bad_box", "four numbers"),
            ({"score": -3.0}, "bad_score", "[0, 1]"),
            ({"id": 9}, "bad_id", "file of boxes"),
            ({"time": 0.05, "frame": 1}, "out_of_order", "sort the file"),
            ({"time": 0.25}, "out_of_order", "another time than"),
            ({"time": None}, "bad_time", "write seconds or ISO 8601"),
            ({"time": 1.7e12}, "bad_time", "write seconds"),
            ({"frame": None}, "malformed", "its frame is None"),
        ],
    )
    def test_a_bad_row_is_rejected_and_its_frame_goes_on_without_it(
        self, tmp_path: Path, kind: str, change: dict[str, Any], reason: str, says: str
    ) -> None:
        rows = [{"time": n / 10, "frame": n, "id": -1, "box": BOX, "score": 0.5} for n in range(1, 4)]
        bad = {**rows[1], **change}
        rows = [rows[0]] * 999 + [rows[1], bad, rows[2]]
        source = rows_file(tmp_path, rows, kind)
        assert [len(f.given) for f in frames_of(source)] == [999, 1, 1]
        (rejected,) = source.take_rejected()
        assert rejected.reason == reason
        assert f"det.{kind}, row 1001: " in rejected.detail
        assert says in rejected.detail
        assert json.loads(rejected.payload)["frame"] == bad["frame"]
        assert rejected.time_ns == 200_000_000
        assert source.counts == {"decoded": 3, "rows.rejected": 1}

    @pytest.mark.parametrize(
        ("embedding", "says"),
        [
            ([1.0, float("nan"), 0.0], "NaN"),
            ([1.0, float("inf"), 0.0], "infinity"),
            ([1.0, 2.0], "shape (2,), the file's are of 3 numbers"),
            ([0.0, 0.0, 0.0], "all zeros"),
            ([], "shape (0,)"),
        ],
    )
    def test_of_a_row_with_a_bad_embedding_only_that_is_rejected(
        self, tmp_path: Path, kind: str, embedding: list[float], says: str
    ) -> None:
        looks = [embedding, [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
        source = rows_file(tmp_path, [{"time": n / 10, "box": BOX, "embedding": e} for n, e in enumerate(looks)], kind)
        frames = frames_of(source)
        assert [len(f.given) for f in frames] == [1, 1, 1]
        assert np.isnan(frames[0].given.embeddings).all()
        assert frames[0].given.boxes.tolist() == [BOX]
        assert np.allclose(frames[2].given.embeddings, [[0, 1, 0]])
        (rejected,) = source.take_rejected()
        assert (rejected.reason, rejected.time_ns) == ("bad_embedding", 0)
        assert says in rejected.detail
        assert source.counts == {"decoded": 3, "rows.rejected": 1}

    def test_two_rows_of_one_id_in_a_frame(self, tmp_path: Path, kind: str) -> None:
        source = rows_file(tmp_path, [{"time": 0.1, "id": 4, "box": BOX}] * 2, kind)
        assert [f.given.ids.tolist() for f in frames_of(source)] == [[4]]
        assert reasons(source) == ["bad_id"]


class TestJsonLines:
    def test_lines_that_are_no_objects_are_rejected(self, tmp_path: Path) -> None:
        good = '{"time": 0.1, "box": [1, 2, 3, 4]}'
        source = rows_file(tmp_path, ["{half a row", "[1, 2]", "", good, '{"time": 0.2, "bbox": [1, 2, 3, 4]}'])
        assert [len(f.given) for f in frames_of(source)] == [1, 0]
        assert reasons(source) == ["malformed"] * 3

    def test_an_embedding_that_is_no_list_of_numbers(self, tmp_path: Path) -> None:
        rows = [{"time": t, "box": BOX, "embedding": e} for t, e in ((1, [1, 0]), (2, [[1], 2]), (3, "red"))]
        source = rows_file(tmp_path, rows)
        assert len(frames_of(source)) == 3
        assert reasons(source) == ["bad_embedding"] * 2

    def test_a_file_still_being_written_is_gone_on_with(self, tmp_path: Path) -> None:
        path = tmp_path / "det.jsonl"
        lines = [json.dumps({"time": n / 10, "box": BOX}) + "\n" for n in range(4)]
        path.write_text("".join(lines[:2]))
        source = open_source("cam", "detections:det.jsonl", base=tmp_path)
        assert len(frames_of(source)) == 2
        after = source.position()
        path.write_text("".join(lines))
        assert [f.index for f in frames_of(source, after)] == [3, 4]


class TestParquet:
    def test_timestamps_with_and_without_zone(self, tmp_path: Path) -> None:
        when = datetime(2026, 1, 2, 3, 0, 1, 250_000, tzinfo=UTC)
        zoned = [when.astimezone(timezone(timedelta(hours=2)))]
        for kind, values in (
            (pa.timestamp("us", "Europe/Berlin"), zoned),
            (pa.timestamp("ns"), [when.replace(tzinfo=None)]),
        ):
            table = pa.table({"time": pa.array(values, kind), "box": [BOX]})
            pq.write_table(table, tmp_path / "det.parquet")
            (frame,) = frames_of(open_source("cam", "detections:det.parquet", base=tmp_path))
            assert frame.time_ns == round(when.timestamp() * 1000) * 1_000_000

    def test_fixed_size_lists_of_floats(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "time": [0.1, 0.2],
                "box": pa.array([BOX, BOX], pa.list_(pa.float32(), 4)),
                "embedding": pa.array([[3.0, 4.0], None], pa.list_(pa.float32(), 2)),
            }
        )
        pq.write_table(table, tmp_path / "det.parquet")
        first, second = frames_of(open_source("cam", "detections:det.parquet", base=tmp_path))
        assert first.given.embeddings.tolist() == [[np.float32(0.6), np.float32(0.8)]]
        assert np.isnan(second.given.embeddings).all()

    def test_a_file_without_boxes(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"time": [0.1], "bbox": [BOX]}), tmp_path / "det.parquet")
        with pytest.raises(SourceError, match="no column `box`"):
            open_source("cam", "detections:det.parquet", base=tmp_path).open(None)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("det.txt", None, "there is no such file"),
        ("det.txt", b"", "the file is empty"),
        ("det.txt", b"\n\n", "there is no row in it"),
        ("det.txt", b"hello\nworld\n", "none of its first rows can be read (row 1"),
        ("det.jsonl", None, "there is no such file"),
        ("det.jsonl", b"", "the file is empty"),
        ("det.jsonl", b"{half\n", "none of its first rows can be used (row 1: it is not JSON"),
        ("det.jsonl", b'{"box": [1, 2, 3, 4]}\n', "no row has a `time` or a `frame`"),
        ("det.parquet", b"PAR1 and nothing else", "no Parquet file that can be read"),
        ("det.parquet", None, "there is no such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    source = open_source("north", f"detections:{name}", base=tmp_path, fps=10)
    assert (source.brings, source.brings_embeddings) == ("boxes", False)
    for use in (source.check, lambda: source.open(None)):
        with pytest.raises(SourceError) as raised:
            use()
        assert says in str(raised.value)
        assert str(raised.value).startswith(f"camera 'north': {tmp_path / name}: ")
        assert "\n" not in str(raised.value)


def test_mot_text_needs_a_rate(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="give the camera's `fps`"):
        mot(tmp_path, "1,-1,1,1,5,5,1", fps=None).open(None)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.det", b"1,-1,1,1,5,5,1\n"), ("b.det", b'{"frame": 1, "box": [1, 1, 6, 6]}\n'), ("c.csv", b"1,-1,1,1,5,5,1\n")],
)
def test_the_format_is_told_from_name_or_content(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (frame,) = frames_of(open_source("cam", f"detections:{name}", base=tmp_path, fps=10))
    assert frame.given.boxes.tolist() == [[1, 1, 6, 6]]
