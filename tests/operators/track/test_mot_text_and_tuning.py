"""MOT text in and out, our counts against TrackEval's, and parameters found from ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from operators.track import TrackerError, create
from operators.track.mot_text import Tracked, mot_rows, read_mot, track_frames, track_mot_text
from operators.track.scoring import count, read_truth
from operators.track.tune import evaluate, read_sequence, tune

MOT = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "mot"
needs_data = pytest.mark.skipif(not MOT.exists(), reason="needs shared/data/mot")


def test_a_mot_file_goes_through_a_tracker(tmp_path: Path) -> None:
    given = tmp_path / "det.txt"
    given.write_text(
        "".join(f"{k},-1,{100 + 3 * k},50,40,100,0.9,2\n" for k in range(5, 0, -1)) + "\n7,-1,1,1,0,5,0.9\n"
    )
    done = track_mot_text(given, tmp_path / "out" / "tracks.txt", 25, "bytetrack", {"lost_seconds": 2.0})
    assert done == Tracked(frames=7, tracks=1, rows=5, rejected={"box without area": 1})
    first = (tmp_path / "out" / "tracks.txt").read_text().splitlines()[0]
    assert first == "1,1,103.00,50.00,40.00,100.00,0.900,2,-1,-1"


@pytest.mark.parametrize(
    "line", ["1,2,3", "0,-1,1,1,5,5,0.9", "1.5,-1,1,1,5,5,0.9", "one,-1,1,1,5,5,0.9", "nan,1,1,1,1,1,1"]
)
def test_a_row_of_another_form_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text(f"1,-1,1,1,5,5,0.9\n{line}\n")
    with pytest.raises(TrackerError, match="line 2"):
        read_mot(tmp_path / "det.txt")


def test_a_missing_file_and_a_senseless_rate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match="cannot be read"):
        read_mot(tmp_path / "none.txt")
    with pytest.raises(TrackerError, match="frame rate"):
        track_mot_text(tmp_path / "none.txt", tmp_path / "out.txt", 0)


def test_looks_beside_the_text_tell_who_is_who(tmp_path: Path) -> None:
    # Two people change places while nobody sees them; only their looks can tell. The rows are in no order of frames.
    rows, looks = [], []
    for frame in [*range(21, 31), *range(1, 11)]:
        for person, look in enumerate(np.eye(2)):
            side = person if frame <= 10 else 1 - person
            rows.append(f"{frame},-1,{100 + 45 * side},50,40,100,0.9\n")
            looks.append(look)
    (tmp_path / "det.txt").write_text("".join(rows))
    np.save(tmp_path / "looks.npy", np.array(looks, np.float32))
    where = {}
    for name, given in (("with", tmp_path / "looks.npy"), ("without", None)):
        track_mot_text(tmp_path / "det.txt", tmp_path / name, 10, "deepsort", looks=given)
        table = np.loadtxt(tmp_path / name, delimiter=",")
        where[name] = [{int(row[1]): row[2] > 122 for row in table if row[0] == frame} for frame in (10, 30)]
    before, after = where["with"]
    assert after == {track: not right for track, right in before.items()}
    assert where["without"][1] == where["without"][0]


@pytest.mark.parametrize("looks", [np.zeros((3, 4)), np.zeros(2), np.zeros((2, 4), int), np.array([{}, {}])])
def test_looks_that_do_not_fit_the_text_are_refused(looks: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,5,5,0.9\n2,-1,1,1,5,5,0.9\n")
    np.save(tmp_path / "looks.npy", looks)
    with pytest.raises(TrackerError, match=r"looks\.npy"):
        read_mot(tmp_path / "det.txt", tmp_path / "looks.npy")


def test_an_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,1,5,5,0.9\n")
    with pytest.raises(TrackerError, match="cannot be written"):
        track_mot_text(tmp_path / "det.txt", tmp_path, 10, "sort")


@needs_data
@pytest.mark.parametrize(("bench", "name"), [("MOT15", "KITTI-17"), ("MOT17-val", "MOT17-09-FRCNN")])
def test_counts_are_trackevals_own(bench: str, name: str, tmp_path: Path) -> None:
    trackeval = pytest.importorskip("trackeval")
    sequence = read_sequence(MOT / bench / name)
    frames = read_mot(MOT / bench / name / "det" / "det.txt")
    told = list(track_frames(create("sort", rate_hz=sequence.fps), frames, sequence.fps))
    data = tmp_path / "ours" / "data"
    data.mkdir(parents=True)
    (data / f"{name}.txt").write_text("".join(mot_rows(k, tracks) for k, tracks in enumerate(told, 1)))
    lengths = {name: sequence.truth.frames}
    settings = {"GT_FOLDER": str(MOT / bench), "TRACKERS_FOLDER": str(tmp_path), "TRACKERS_TO_EVAL": ["ours"]}
    settings |= {"BENCHMARK": bench[:5], "SKIP_SPLIT_FOL": True, "SEQ_INFO": lengths, "PRINT_CONFIG": False}
    dataset = trackeval.datasets.MotChallenge2DBox({**settings, "OUTPUT_FOLDER": str(tmp_path)})
    prepared = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", name), "pedestrian")
    clear = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(prepared)
    identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(prepared)
    hota = trackeval.metrics.HOTA().eval_sequence(prepared)
    rows = [read_back(data / f"{name}.txt", k) for k in range(1, sequence.truth.frames + 1)]
    ours = count(sequence.truth, [ids for ids, _ in rows], [boxes for _, boxes in rows])
    assert (ours.false, ours.missed, ours.switches) == (clear["CLR_FP"], clear["CLR_FN"], clear["IDSW"])
    assert ours.mota == pytest.approx(100 * clear["MOTA"])
    assert ours.idf1 == pytest.approx(100 * identity["IDF1"])
    assert ours.hota == pytest.approx(100 * hota["HOTA"].mean())


def read_back(path: Path, frame: int) -> tuple[np.ndarray, np.ndarray]:
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    rows = table[table[:, 0] == frame]
    return rows[:, 1].astype(int), np.hstack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])


@needs_data
def test_tuning_repeats_itself_and_does_not_lose_to_the_defaults() -> None:
    sequences = [read_sequence(MOT / "MOT15" / name) for name in ("KITTI-17", "TUD-Campus")]
    one = tune("bytetrack", sequences, only=["match", "lost_seconds"], evaluations=24)
    again = tune("bytetrack", sequences, only=["match", "lost_seconds"], evaluations=24, held_out=False)
    assert one.parameters == again.parameters
    assert set(one.parameters) == {"match", "lost_seconds"}
    assert one.after.hota + one.after.idf1 >= one.before.hota + one.before.idf1
    assert one.held_out is not None
    assert again.held_out is None
    assert evaluate("bytetrack", one.parameters, sequences[0]).found > 0


def test_tuning_says_what_cannot_be_tuned(tmp_path: Path) -> None:
    with pytest.raises(TrackerError, match="at least one"):
        tune("bytetrack", [])
    with pytest.raises(TrackerError, match=r"seqinfo\.ini"):
        read_sequence(tmp_path)
    (tmp_path / "gt.txt").write_text("1,1,0,0,10,10,1\n")
    assert read_truth(tmp_path / "gt.txt").frames == 1
    with pytest.raises(TrackerError, match="ground truth"):
        read_truth(tmp_path / "none.txt")
