"""Reading boxes and ground truth, and saying what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmct.mot_text import MotTextError, find_ground_truth, find_results, read_mot, read_people

ROW = "1,5,10,20,30,40\n"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_columns_are_read_and_the_missing_ones_are_ones(tmp_path: Path):
    boxes = read_mot(written(tmp_path / "a.txt", "\n2, 7, 1.5, 2, 3, 4\r\n\n1,-1,0,0,1,1\n"))
    assert boxes.frames.tolist() == [2, 1]
    assert boxes.ids.tolist() == [7, -1]
    assert boxes.xywh.tolist() == [[1.5, 2, 3, 4], [0, 0, 1, 1]]
    assert boxes.confidences.tolist() == boxes.classes.tolist() == [1, 1]
    boxes = read_mot(written(tmp_path / "b.txt", "1.5,7,1,2,3,4,0.25,3,-1,-1\n"))
    assert (boxes.frames[0], boxes.confidences[0], boxes.classes[0]) == (1.5, 0.25, 3)


def test_an_empty_file_holds_no_boxes(tmp_path: Path):
    assert len(read_mot(written(tmp_path / "a.txt", "\n"))) == 0


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ROW + "2,5,10,20,30\n", "line 2: 5 columns"),
        (ROW + "\n2,5,10,wide,30,40\n", r"line 3: 'wide' is not a number \(x|y\)"),
        ("1,5,10,20,30,40,1\n" + ROW, "line 2: 6 columns where the lines above have 7"),
        (ROW + "1,2.5,10,20,30,40\n", "line 2: 2.5 cannot be a id"),
        (ROW + "1,6,10,20,nan,40\n", "line 2: nan cannot be a width"),
        ("frame,id,x,y,w,h\n" + ROW, "line 1: 'frame' is not a number"),
        ("1 5 10 20 30 40\n", "line 1: 1 columns"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, fault: str):
    path = written(tmp_path / "a.txt", text)
    with pytest.raises(MotTextError, match=f"a.txt, {fault}"):
        read_mot(path)


def test_what_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "a.txt", tmp_path / "missing.txt", tmp_path):
        with pytest.raises(MotTextError, match=f"{path}: "):
            read_mot(path)


def test_people_who_come_back_keep_one_id(tmp_path: Path):
    people = read_people(written(tmp_path / "people.txt", "# by eye\n1 19\n\n8 14 15  # thrice\n7\n"))
    assert people == {1: 1, 19: 1, 8: 8, 14: 8, 15: 8, 7: 7}
    boxes = read_mot(written(tmp_path / "a.txt", "1,19,0,0,1,1\n1,3,0,0,1,1\n")).with_people(people)
    assert boxes.ids.tolist() == [1, 3]


@pytest.mark.parametrize(("text", "fault"), [("1 2\n3 2\n", "line 2: id 2"), ("1 two\n", "line 1: 'two'")])
def test_people_that_make_no_sense_are_named(tmp_path: Path, text: str, fault: str):
    with pytest.raises(MotTextError, match=fault):
        read_people(written(tmp_path / "people.txt", text))
    with pytest.raises(MotTextError, match=r"nobody\.txt"):
        read_people(tmp_path / "nobody.txt")


INI = "[Sequence]\nname=x\nseqLength=120\n"


def test_ground_truth_is_found_in_every_layout(tmp_path: Path):
    file = written(tmp_path / "single" / "north.txt", ROW)
    sequence = written(tmp_path / "bench" / "SEQ-1" / "gt" / "gt.txt", ROW)
    written(tmp_path / "bench" / "SEQ-1" / "seqinfo.ini", INI)
    written(tmp_path / "bench" / "SEQ-2" / "gt.txt", ROW)
    written(tmp_path / "bench" / "notes.txt", "no boxes")
    written(tmp_path / "cameras" / "north.txt", ROW)
    written(tmp_path / "cameras" / "south.txt", ROW)

    def cameras(path: Path) -> dict[str, float | None]:
        return {name: boxes.last_frame for name, boxes in find_ground_truth(path).items()}

    assert cameras(file) == {"north": None}
    assert cameras(sequence) == cameras(tmp_path / "bench" / "SEQ-1") == {"SEQ-1": 120}
    assert cameras(tmp_path / "bench" / "SEQ-2" / "gt.txt") == {"SEQ-2": None}
    assert cameras(tmp_path / "bench") == {"SEQ-1": 120, "SEQ-2": None}
    assert cameras(tmp_path / "cameras") == {"north": None, "south": None}


def test_results_are_one_file_or_a_folder_of_them(tmp_path: Path):
    file = written(tmp_path / "north.txt", ROW)
    assert list(find_results(file, ["lobby"])) == ["lobby"]
    assert list(find_results(tmp_path, ["north"])) == ["north"]
    with pytest.raises(MotTextError, match="2 cameras: give the folder"):
        find_results(file, ["north", "south"])
    with pytest.raises(MotTextError, match=r"south.txt: No such file"):
        find_results(tmp_path, ["north", "south"])


def test_missing_ground_truth_is_named(tmp_path: Path):
    with pytest.raises(MotTextError, match="no ground truth in"):
        find_ground_truth(tmp_path)
    with pytest.raises(MotTextError, match="nowhere"):
        find_ground_truth(tmp_path / "nowhere")


def test_a_damaged_sequence_length_is_named(tmp_path: Path):
    written(tmp_path / "gt.txt", ROW)
    written(tmp_path / "seqinfo.ini", "[Sequence]\nseqLength=long\n")
    with pytest.raises(MotTextError, match=r"seqinfo.ini does not say seqLength"):
        find_ground_truth(tmp_path)
