"""The one YAML file: what it accepts, and the sentence for every mistake."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mtmct.settings import FusionSettings
from mtmct.settings import Path as Way
from pipeline.config import ConfigError
from pipeline.config_file import load, parse
from pipeline.config_fusion import Fusion
from pipeline.fusion_settings import fusion_settings, setting_of

HERE = Path("plaza.yaml")
# Nine to the power of nine values, in ten lines.
ALIASES_OF_ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in itertools.pairwise("abcdefghi")
)
MINIMAL = "site: plaza\ncameras:\n  - id: north\n    source: north.mp4\n"


def test_a_minimal_site_has_sensible_defaults() -> None:
    site = parse(MINIMAL, HERE)
    assert site.classes == ("person",)
    assert site.interval_ns == 1_000_000_000
    assert site.ledger_path == Path("run/plaza/ledger.sqlite")
    assert site.tracker.name == "steady"


def test_a_range_makes_numbered_cameras() -> None:
    text = "site: p\ncameras:\n  - id: gate-{n:02d}\n    range: [1, 3]\n    source: rtsp://10.0.0.{n}/main\n"
    site = parse(text, HERE)
    assert [c.id for c in site.cameras] == ["gate-01", "gate-02", "gate-03"]
    assert site.cameras[2].source == "rtsp://10.0.0.3/main"


def test_an_environment_variable_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH_PASSWORD", "s3cret")
    site = parse(MINIMAL.replace("north.mp4", "rtsp://v:${NORTH_PASSWORD}@h/main"), HERE)
    assert site.cameras[0].source == "rtsp://v:s3cret@h/main"


def test_a_secret_may_hold_braces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "a{n}b{0.__class__}{")
    text = "site: p\ncameras:\n  - {id: 'g{n}', range: [7, 7], source: 'rtsp://v:${PASSWORD}@h/{n}/{other}'}\n"
    assert parse(text, HERE).cameras[0].source == "rtsp://v:a{n}b{0.__class__}{@h/7/{other}"


def test_a_number_from_the_environment_must_be_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHOLD", "nan")
    with pytest.raises(ConfigError, match=r"detector\.score_threshold: input should be a finite number"):
        parse(MINIMAL + "detector: {score_threshold: '${THRESHOLD}'}\n", HERE)


def test_a_mistake_in_the_only_camera_is_all_that_is_said() -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL + "    fsp: 10\n", HERE)
    assert len(str(error.value).splitlines()) == 1


def test_paths_of_a_site_that_is_loaded_do_not_depend_on_the_folder_of_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plaza.yaml").write_text(MINIMAL)
    site = load(Path("plaza.yaml"))
    assert (site.base, site.ledger_path) == (tmp_path, tmp_path / "run" / "plaza" / "ledger.sqlite")
    Path("plaza.yaml").write_text(MINIMAL + "ledger: {sqlite: {path: here.sqlite}}\n")
    assert load(Path("plaza.yaml")).ledger_path == tmp_path / "here.sqlite"
    Path("plaza.yaml").write_text(MINIMAL + "ledger: {kafka: {bootstrap_servers: 'k:9092'}}\n")
    assert load(Path("plaza.yaml")).ledger.sqlite is None


def test_durations_are_read_as_people_write_them() -> None:
    site = parse(MINIMAL + "fusion: {max_gap: 5m, max_wait: 500ms}\nidle_timeout: 7\n", HERE)
    assert (site.fusion.max_gap, site.fusion.max_wait, site.idle_timeout) == (300.0, 0.5, 7.0)


def test_parameters_of_a_tracker_and_settings_of_kafka_pass_through() -> None:
    text = MINIMAL + "tracker: {name: sort, max_age: 2}\nledger: {kafka: {bootstrap_servers: 'k:9092', acks: all}}\n"
    site = parse(text, HERE)
    assert site.tracker.parameters == {"max_age": 2}
    assert site.ledger.kafka is not None
    assert site.ledger.kafka.settings == {"bootstrap_servers": "k:9092", "acks": "all"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (MINIMAL + "    fsp: 10\n", "plaza.yaml, line 5: cameras[0].fsp: unknown field; did you mean 'fps'?"),
        (MINIMAL + "    fps: -3\n", "plaza.yaml, line 5: cameras[0].fps: -3 is too small; write more than 0"),
        (MINIMAL + "fusion: {max_gap: soon}\n", "line 5: fusion.max_gap: 'soon' is no duration"),
        (MINIMAL + "    crop: [10, 10, 5, 20]\n", "line 5: cameras[0].crop: write x1, y1, x2, y2"),
        (
            MINIMAL + "    homography: [[1,0,0],[0,1,0],[0,0,0]]\n",
            "line 5: cameras[0].homography: this homography is degenerate (it maps the picture onto a line)",
        ),
        (MINIMAL + "resources: {precision: trt-fp16}\n", "precision: trt-fp16 needs a GPU: set gpus_per_worker, e.g."),
        (MINIMAL + "resources: {gpu_memory_mb: 500}\n", "gpu_memory_mb: 500 needs a GPU: set gpus_per_worker"),
        ("site: plaza\n", "plaza.yaml: cameras: this field is missing; add `cameras:`"),
        ("site: plaza\ncameras: []\n", "plaza.yaml, line 2: cameras:"),
        ("site: Plaza One\ncameras: [{id: a, source: b}]\n", "line 1: site:"),
        (MINIMAL + "  - id: north\n    source: b\n", "line 5: cameras[1].id: there are two cameras called 'north'"),
        (
            MINIMAL.replace("north.mp4", "${NO_SUCH_VARIABLE_SET}"),
            "line 4: cameras[0].source: the environment variable",
        ),
        ("site: [plaza\n", "plaza.yaml, line 2: this is not valid YAML"),
        ("site: " + "{a: " * 1000, "plaza.yaml: this is not valid YAML (brackets within brackets"),
        (ALIASES_OF_ALIASES, "plaza.yaml: there are too many values in it"),
        ("site: plaza\nprofile: []\ncameras: []\n", "profile: input should be a valid string"),
        ("- just\n- a list\n", "plaza.yaml: a site's file holds fields"),
        (MINIMAL + "ledger: {sqlite: {}, kafka: {bootstrap_servers: a}}\n", "line 5: ledger: choose one of"),
        (
            MINIMAL + "site_figures: {quick: true}\n",
            "line 5: site_figures.quick: unknown field; known here: publish, gone_after, restate",
        ),
        (MINIMAL + "ledgr: {}\n", "line 5: ledgr: unknown field; did you mean 'ledger'?"),
        (MINIMAL + "resources: {gpus: 1}\n", "line 5: resources.gpus: unknown field; "),
        ("site: p\ncameras:\n  - {id: a, source: b, range: [1, 2]}\n", "line 3: cameras[0].range: a range needs"),
        (MINIMAL + "floor: [[0, 0], [9, 0], [9, 9]]\n", "plaza.yaml: `floor` is in metres: give at least one camera"),
        (MINIMAL + "floor: [[0, 0], [1, 1], [2, 2]]\n", "line 5: floor: the floor encloses nothing"),
        (MINIMAL + "idle_timeout: 1s\n", "plaza.yaml: idle_timeout must be at least twice the interval"),
        (MINIMAL + "base: /etc\n", "line 5: base: unknown field"),
        (
            MINIMAL + "    homography: [[1,0,0],[0,.nan,0],[0,0,1]]\n",
            "line 5: cameras[0].homography[1][1]: this is no number",
        ),
        (MINIMAL + "tracker: {name: sort, max_age: .inf}\n", "line 5: tracker.max_age: this is no number"),
        (MINIMAL + "fusion: {max_gap: 0}\n", "line 5: fusion.max_gap: 0 is too small; write more than 0"),
        (MINIMAL + "fusion: {max_wait: -1}\n", "line 5: fusion.max_wait: -1 is too small; write 0 or more"),
        (
            "site: p\ncameras: [{id: 'a{n:s}', source: b, range: [1, 2]}]\n",
            "line 2: cameras[0].id: {n} could not be filled in; write {n} or {n:02d}",
        ),
    ],
)
def test_a_mistake_is_named_with_line_field_and_remedy(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, HERE)
    assert sentence in str(error.value)


def test_a_secret_never_reaches_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    text = MINIMAL + "ledger: {kafka: {bootstrap_servers: [], sasl_plain_password: '${KAFKA_PASSWORD}'}}\n"
    with pytest.raises(ConfigError) as error:
        parse(text, HERE)
    assert "hunter2" not in str(error.value)


def test_a_site_that_is_printed_shows_no_password() -> None:
    text = MINIMAL.replace("north.mp4", "rtsp://v:hunter2@h/main")
    site = parse(text + "ledger: {kafka: {bootstrap_servers: 'k:9092', sasl_plain_password: hunter3}}\n", HERE)
    assert "hunter" not in repr(site) + str(site)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: there is no such file"):
        load(tmp_path / "no.yaml")


def test_fusion_takes_what_tuning_finds_and_refuses_what_it_does_not_know() -> None:
    site = parse(MINIMAL + "fusion: {publish: provisional, link_odds: 1.5, position_memory: 1m, drift: 2}\n", HERE)
    settings = fusion_settings(site.fusion)
    assert settings.provisional and settings.link_odds == 1.5
    assert (settings.position_memory_s, settings.drift_m) == (60.0, 2.0)
    assert settings.merge_odds == FusionSettings().merge_odds, "what is not given is fusion's own"
    with pytest.raises(ConfigError, match=r"line 5: fusion\.link_ods: unknown field; did you mean 'link_odds'"):
        parse(MINIMAL + "fusion: {link_ods: 1.5}\n", HERE)
    with pytest.raises(ConfigError, match=r"fusion\.surprise: .* is too large; write less than 1"):
        parse(MINIMAL + "fusion: {surprise: 1.5}\n", HERE)


def test_every_number_of_fusion_reaches_the_engine() -> None:
    for name in set(Fusion.model_fields) - {"publish", "gallery", "travel_times", "paths", "only_paths", "clock_skew"}:
        value = 7 if name in {"min_evidence", "least_rivals"} else 0.5
        assert getattr(fusion_settings(Fusion(**{name: value})), setting_of(name)) == value


def test_what_becomes_of_clocks_that_disagree_is_chosen_in_the_file() -> None:
    assert fusion_settings(Fusion()).clock_skew == "off"
    assert fusion_settings(parse(MINIMAL + "fusion: {clock_skew: apply}\n", HERE).fusion).clock_skew == "apply"


def test_the_gallery_s_index_is_chosen_in_the_file() -> None:
    assert fusion_settings(Fusion()).gallery == "flat"
    assert fusion_settings(parse(MINIMAL + "fusion: {gallery: ivf}\n", HERE).fusion).gallery == "ivf"


def test_travel_times_are_learned_where_the_file_asks_for_it() -> None:
    assert not fusion_settings(Fusion()).travel
    assert fusion_settings(parse(MINIMAL + "fusion: {travel_times: learned}\n", HERE).fusion).travel


def test_given_paths_reach_the_engine_both_ways_and_turn_travel_times_on() -> None:
    text = MINIMAL.replace("cameras:", "cameras:\n  - {id: far, source: b.mp4}", 1)
    way = "{from: far, to: far2, min: 10s, typical: 20s, max: 1m, both_ways: true}"
    text = text.replace("cameras:", "cameras:\n  - {id: far2, source: c.mp4}", 1)
    settings = fusion_settings(parse(text + f"fusion: {{paths: [{way}], only_paths: true}}\n", HERE).fusion)
    assert settings.travel and settings.only_paths
    assert settings.paths == (Way("far", "far2", 10.0, 20.0, 60.0), Way("far2", "far", 10.0, 20.0, 60.0))
    for wrong, said in [
        (
            way.replace("to: far2", "to: fra2"),
            r"fusion\.paths\[0\]\.to: there is no camera 'fra2'; did you mean 'far2'",
        ),
        (way.replace("to: far2", "to: far"), "from one camera to another"),
        (way.replace("max: 1m", "max: 5s"), "min <= typical <= max"),
        (way.replace("max: 1m", "max: 1h"), "longer than max_gap"),
        (f"{way}, {way}", "from far to far2 is given twice"),
    ]:
        with pytest.raises(ConfigError, match=said):
            parse(text + f"fusion: {{paths: [{wrong}]}}\n", HERE)
    with pytest.raises(ConfigError, match="`only_paths` needs `paths`"):
        parse(text + "fusion: {only_paths: true}\n", HERE)
