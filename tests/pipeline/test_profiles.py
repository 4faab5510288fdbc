"""Profiles: what they choose, what a file overrides, and what is said where only an official model serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mtmct.records import IDENTITIES, TRACKS
from operators.detect import open_detector
from operators.looking_back import Before
from operators.tiles import TiledDetector
from operators.track import create
from pipeline.assembly import build_detector, build_embedder, build_reader, build_service, build_shard, build_tracker
from pipeline.checks import check
from pipeline.config import ConfigError, Site
from pipeline.config_file import load
from pipeline.profiles import PROFILES
from pipeline.replay import record
from pipeline.testing import LocalFusion, LocalLink

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "configs" / "media" / "walkway.mp4"


def site(tmp_path: Path, text: str) -> Site:
    file = tmp_path / "site.yaml"
    file.write_text(f"site: plaza\ncameras: [{{id: a, source: {CLIP}}}]\n{text}\n")
    return load(file)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_names_the_official_model_that_serves_it(name: str) -> None:
    profile = PROFILES[name]
    assert profile.classes
    assert profile.model
    assert profile.figures


def test_a_profile_brings_its_tracker_and_a_line_overrides_it(tmp_path: Path) -> None:
    assert site(tmp_path, "profile: bytetrack").tracker.name == "bytetrack"
    assert site(tmp_path, "profile: deepsort\ntracker: ocsort").tracker.name == "ocsort"
    tuned = site(tmp_path, "profile: bytetrack\ntracker: {lost_seconds: 2}").tracker
    assert (tuned.name, tuned.parameters) == ("bytetrack", {"lost_seconds": 2})
    assert site(tmp_path, "profile: vehicle").tracker.name == "steady"


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.bundled])
def test_what_the_bundled_model_serves_runs_as_it_is(name: str, tmp_path: Path) -> None:
    chosen = site(tmp_path, f"profile: {name}")
    check(chosen)
    tracker = build_tracker(chosen, chosen.cameras[0], _source(chosen))
    assert type(tracker).name == PROFILES[name].tracker


def _source(chosen: Site) -> object:
    from pipeline.assembly import build_source

    return build_source(chosen, chosen.cameras[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile: head", r"profile head: the bundled model does not know 'head'; give an exported model .* MOTA 64.7"),
        ("profile: visdrone", r"profile visdrone: the bundled model does not know 'people'"),
        ("profile: fairmot", r"profile fairmot: it needs an exported network that gives embeddings .* MOTA 75.3"),
        ("profile: jde", r"profile jde: it needs an exported network"),
        ("profile: pets", r"there is no such profile: choose one of pedestrian, vehicle"),
    ],
)
def test_where_only_an_official_model_serves_it_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        check(site(tmp_path, text))


def test_aerial_looks_at_tiles_and_a_line_turns_that_off(tmp_path: Path) -> None:
    assert isinstance(build_detector(site(tmp_path, "profile: aerial")), TiledDetector)
    assert not site(tmp_path, "profile: aerial\ndetector: {tiles: false}").tiled
    assert site(tmp_path, "detector: {tiles: true}").tiled


def young_network(profile: str) -> Any:
    """A network of random weights that sees the same few objects in the same picture, one beside the other."""
    import paddle

    from operators.networks.fairmot import FairMot
    from operators.networks.jde import Jde

    paddle.seed(7)
    if profile == "jde":
        jde = Jde(4, (1, 1, 1, 1, 1), embedding=16)
        for predictor in jde.predictors:
            predictor.weight.set_value(predictor.weight * 0.05)
            predictor.bias.set_value(np.tile(np.float32([0, 0, 0, 0, -0.5, 0.5]), 4))
        return jde
    fairmot = FairMot(1, "dla34", top=6, tiny=True)
    with paddle.no_grad():
        for layer in fairmot.sublayers():
            if isinstance(layer, paddle.nn.BatchNorm2D):
                layer._momentum = 0.3
        for _ in range(4):  # so that norms know what they are to normalise
            fairmot.maps(paddle.rand([2, 3, 64, 96]))
    fairmot.heat.predict.bias.set_value(np.float32([0.5]))
    fairmot.size.predict.bias.set_value(np.float32([2, 4, 2, 4]))
    return fairmot


@pytest.mark.parametrize(("name", "architecture"), [("fairmot", "FairMOT"), ("jde", "JDE")])
def test_one_line_runs_a_site_with_an_exported_one_shot_network(name: str, architecture: str, tmp_path: Path) -> None:
    from operators.networks.export import PERMUTE, UNIT, letterbox, normalise, save

    inputs = {"image": [1, 3, 64, 96], "im_shape": [1, 2], "scale_factor": [1, 2]}
    steps = [letterbox(64, 96), normalise(UNIT), PERMUTE]
    network = young_network(name)
    save(network, tmp_path / "net", inputs=inputs, architecture=architecture, labels=["pedestrian"], preprocess=steps)
    still = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (96, 160, 3), dtype=np.uint8), (9, 9), 2)
    (tmp_path / "clip").mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / "clip" / f"{number:03d}.png"), still)
    (found,) = open_detector(tmp_path / "net").detect([still])
    least = float(found.scores[:6][-1]) - 1e-4
    file = tmp_path / "site.yaml"
    file.write_text(
        f"site: plaza\nprofile: {name}\ndetector: {{model: net, score_threshold: {least}}}\n"
        "cameras: [{id: hall, source: clip, fps: 10}]\n"
        f"ledger: {{sqlite: {{path: {tmp_path / 'ledger.sqlite'}}}}}\n"
    )
    chosen = load(file)
    check(chosen)
    assert chosen.tracker.name == name
    assert build_embedder(chosen) is None, "the network says itself how its objects look"
    assert build_detector(chosen).classes == ("person",)  # type: ignore[attr-defined]
    fusion = LocalFusion(lambda: build_service(chosen))
    assert build_shard(chosen, ("hall",), LocalLink(fusion)).run() == {}
    fusion.call(lambda service: service.finished()).result(30)
    fusion.close()
    reader = build_reader(chosen)
    tracks = [stored.value for stored in reader.read(TRACKS)]
    people = {stored.value["identity"] for stored in reader.read(IDENTITIES)}
    reader.close()
    seen = int((found.scores >= least).sum())
    assert 3 <= seen == len(tracks) == len(people)
    assert all(track["frames"] == list(range(1, 9)) for track in tracks)
    last = np.array([track["points"][-1][1:5] for track in tracks])
    apart = np.abs(last[:, None] - found.boxes[None, :seen]).max(axis=2)
    assert apart.min(axis=0).max() < 0.2, "every object is where the network sees it"


def test_centertrack_is_shown_the_picture_before_and_its_offsets_lead_the_tracks(tmp_path: Path) -> None:
    import paddle

    from operators.networks.centertrack import CenterTrack
    from operators.networks.export import PERMUTE, UNIT, normalise, save

    paddle.seed(7)
    network = CenterTrack(1, top=6, tiny=True)
    with paddle.no_grad():
        for layer in network.sublayers():
            if isinstance(layer, paddle.nn.BatchNorm2D):
                layer._momentum = 0.3
        for _ in range(4):
            picture = paddle.rand([2, 3, 64, 96])
            network.neck(network.backbone(picture, network.before(picture) + network.heat_before(picture[:, :1])))
    network.heat.predict.bias.set_value(np.float32([0.5]))
    network.size.predict.bias.set_value(np.float32([2, 4, 2, 4]))
    shape = [1, 3, 64, 96]
    warp = {"type": "WarpAffine", "input_h": 64, "input_w": 96, "keep_res": False}
    save(
        network,
        tmp_path / "net",
        inputs={"image": shape, "pre_image": shape, "pre_hm": [1, 1, 64, 96]},
        architecture="CenterTrack",
        labels=["pedestrian"],
        preprocess=[warp, normalise(UNIT), PERMUTE],
    )
    texture = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (96, 160, 3), dtype=np.uint8), (9, 9), 2)
    pictures = [np.roll(texture, number, axis=1) for number in range(14)]
    (tmp_path / "clip").mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / "clip" / f"{number:03d}.png"), picture)
    file = tmp_path / "site.yaml"
    file.write_text(
        "site: plaza\nprofile: centertrack\ndetector: {model: net}\nembedder: {model: none}\n"
        "cameras: [{id: hall, source: clip, fps: 10}]\n"
        f"ledger: {{sqlite: {{path: {tmp_path / 'ledger.sqlite'}}}}}\n"
    )
    batches = record(load(file))
    seen = {
        (frame, tracklet.track): box
        for batch in batches
        for tracklet in batch.tracklets
        for frame, box in zip(tracklet.frames.tolist(), tracklet.boxes, strict=True)
    }
    detector = open_detector(tmp_path / "net", classes=["person"])
    tracker = create("centertrack", rate_hz=10.0, offsets=True)
    expected, before = {}, None
    for number, picture in enumerate(pictures):
        # A worker that takes over at a second's beginning has no picture from before it.
        (found,) = detector.detect([picture], [None if number == 10 else before])
        if number == 5:
            assert not np.array_equal(found.scores, detector.detect([picture])[0].scores), "it makes a difference"
        tracks = tracker.update(found, number * 10**8)
        expected |= {(number + 1, track): box for track, box in zip(tracks.ids.tolist(), tracks.boxes, strict=True)}
        before = Before(picture, found)
    assert len(expected) > 20
    assert seen.keys() == expected.keys()
    for key, box in expected.items():
        np.testing.assert_array_equal(seen[key], box)
