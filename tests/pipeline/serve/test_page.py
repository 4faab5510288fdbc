"""The page in a real browser, as somebody uses it who writes no code."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import av
import pytest
from small_site import WIDTH, make_site, record

from mtmct.records import IDENTITIES, Record
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter
from pipeline.resources import configs
from pipeline.schema.codec import open_codec

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PLACES = (
    "/",
    "/cameras/east",
    "/floor",
    "/identities",
    "/identities/plaza-000001",
    "/identities/plaza-000002?camera=east&time=2000000",
    "/search",
    "/figures",
    "/health",
    "/new",
)

# What every place looks like is left here, to be looked at.
PICTURES = Path(__file__).resolve().parents[3] / "run" / "screenshots"

if BROWSER is None and not os.environ.get("CROSSCAM_REQUIRE_ALL"):
    pytest.skip("needs Chromium (Debian: apt-get install chromium)", allow_module_level=True)

from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    make_site(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Of the service, started as its user starts it."""
    command = [sys.executable, "-m", "pipeline.cli", "serve", str(folder / "site.yaml"), "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        yield said.split()[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130, "as a shell expects of what Ctrl-C ended"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


DESK, TELEPHONE = (1280, 800), (390, 844)


@pytest.fixture
def page(browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, height = getattr(request, "param", DESK)
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=address)
    context.set_default_timeout(60_000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("response", lambda answer: faults.append(answer.url) if answer.status >= 500 else None)
    yield page
    context.close()
    assert faults == []


@pytest.mark.parametrize("page", [DESK, TELEPHONE], ids=["desk", "telephone"], indirect=True)
def test_every_place_can_be_reached_and_nothing_is_cut_off(page: Page) -> None:
    for place in PLACES:
        page.goto(place)
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{place} is wider than the window"
        assert page.evaluate(
            "[...document.querySelectorAll('nav a, button')].filter(e => e.offsetParent).every(e => "
            "{ const r = e.getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth + 1 })"
        ), f"{place} has something to press that lies outside the window"
        names = "[...document.querySelectorAll('img, button, a, input:not([type=hidden])')].filter(e => e.offsetParent"
        names += (
            " && !(e.alt || e.ariaLabel || e.innerText?.trim() || e.labels?.length || e.title)).map(e => e.outerHTML)"
        )
        page.wait_for_function(f"{names}.length === 0", timeout=10_000)
        name = re.sub(r"\W+", "-", place.strip("/")) or "wall"
        page.screenshot(path=PICTURES / f"{page.viewport_size['width']}-{name}.png", full_page=True)


@pytest.mark.parametrize("place", ["/cameras/attic", "/identities/plaza-000099", "/new/0123456789abcdef"])
def test_what_is_not_there_is_said_on_a_page(page: Page, place: str) -> None:
    answer = page.goto(place)
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("alert")).to_contain_text("here is no")
    expect(page.get_by_role("link", name="Cameras")).to_be_visible()


def test_a_line_is_drawn_with_the_mouse_and_says_what_it_would_have_counted(page: Page) -> None:
    page.goto("/cameras/east")
    board = page.locator(".cc-board")
    board.scroll_into_view_if_needed()
    expect(board.locator("img").first).to_be_visible()
    box = board.bounding_box()
    assert box is not None
    for y in (0.05, 0.95):
        page.mouse.click(box["x"] + box["width"] * 340 / 640, box["y"] + box["height"] * y)
    expect(page.get_by_label("Points")).to_have_value(re.compile(r"^3[34]\d,\d+ 3[34]\d,\d+$"))
    page.get_by_label("Name").fill("gate")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Line gate: 0 in, 1 out")).to_be_visible()
    page.get_by_role("button", name="Remove gate").click()
    expect(page.get_by_text("No lines or zones yet.")).to_be_visible()


def test_a_line_is_written_by_keyboard_and_a_wrong_one_is_explained(page: Page, folder: Path) -> None:
    page.goto("/cameras/west")
    page.get_by_label("Points").fill("10,10")
    page.get_by_role("button", name="Add").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="at least two points")).to_be_visible()
    page.get_by_label("Name").fill("post")
    page.get_by_label("Points").fill("20,0 20,199")
    page.get_by_role("button", name="Add").press("Enter")
    expect(page.get_by_text("Line post:")).to_be_visible()
    page.get_by_role("button", name="Save to the site's file").press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert "post: [[20.0, 0.0], [20.0, 199.0]]" in (folder / "site.yaml").read_text(encoding="utf-8")


def test_somebody_seen_by_one_camera_is_followed_to_the_other(page: Page) -> None:
    page.goto("/identities")
    page.get_by_text("person 1", exact=True).click()
    expect(page.get_by_role("heading", name="Where it was")).to_be_visible()
    expect(page.get_by_role("link", name="west, track 1")).to_be_visible()
    page.wait_for_function(
        "document.querySelectorAll('article img').length === 2 && "
        "[...document.querySelectorAll('article img')].every(i => i.naturalWidth)"
    )
    page.get_by_role("link", name="Who looks like this?").click()
    expect(page.get_by_text("plaza-000002")).to_be_visible()


@pytest.mark.parametrize("page", [DESK, TELEPHONE], ids=["desk", "telephone"], indirect=True)
def test_who_is_clicked_in_one_camera_is_found_by_looks_in_the_other(page: Page) -> None:
    page.goto("/cameras/east?time=2000000")
    expect(page.get_by_role("link", name="plaza-000001")).to_be_visible()
    picture = page.get_by_role("img", name="east at")
    box = picture.bounding_box()
    assert box is not None
    shown = box["width"] / WIDTH  # person 1 is a rectangle 40 wide and 110 high, at x 310 and y 50 at that time
    page.mouse.click(box["x"] + shown * 330, box["y"] + shown * 105)
    expect(page).to_have_url(re.compile("/identities/plaza-000001[?]camera=east&time=2000000$"))
    expect(page.get_by_role("link", name="west, track 1")).to_be_visible()
    expect(page.get_by_text("By the picture of east at 00:00:02.0")).to_be_visible()
    found = page.get_by_role("link").filter(has_text="alike")
    expect(found).to_have_count(2)
    expect(found.first).to_contain_text("plaza-000001")
    expect(found.first).to_contain_text(re.compile(r"alike (1.00|0.9\d), score \+"))
    expect(found.first).to_contain_text("east, west")
    expect(found.last).to_contain_text(re.compile(r"score -"))
    there = found.first.get_by_role("img", name="plaza-000001 in west")
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=there.element_handle())
    page.screenshot(path=PICTURES / f"{page.viewport_size['width']}-clicked.png", full_page=True)
    found.first.click()
    expect(page).to_have_url(re.compile("/identities/plaza-000001$"))


def test_a_person_in_a_picture_is_reached_by_keyboard_alone(page: Page) -> None:
    page.goto("/cameras/east?time=2000000")
    expect(page.get_by_role("link", name="plaza-000002")).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "plaza-000002":
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/identities/plaza-000002[?]camera=east"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content", "the first stop leads past the rest"


@pytest.mark.parametrize("page", [DESK, TELEPHONE], ids=["desk", "telephone"], indirect=True)
def test_no_page_has_a_serious_fault_of_accessibility(page: Page) -> None:
    axe = axe_core()
    faults = []
    for place in PLACES:
        page.goto(place)
        expect(page.locator("h1")).to_be_visible()
        page.wait_for_load_state("networkidle")
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        faults += [
            f"{place}: {found['id']}: {found['nodes'][0]['html'][:200]}"
            for found in result["violations"]
            if found["impact"] in ("serious", "critical")
        ]
    assert faults == []


def axe_core() -> str:
    """axe-core (Deque, MPL-2.0), as the package for Playwright brings it."""
    if importlib.util.find_spec("axe_playwright_python") is None:
        pytest.skip("needs axe-core (pip install axe-playwright-python)")
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def test_a_picture_without_anybody_is_answered_in_a_sentence(page: Page, tmp_path: Path) -> None:
    page.goto("/search")
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.jpg")
    expect(page.get_by_role("alert")).to_contain_text("no picture that can be read")


def test_a_video_becomes_an_analysis_that_can_be_drawn_on(page: Page, tmp_path: Path) -> None:
    page.goto("/new")
    page.get_by_role("radio", name="Flow counting").check()
    (tmp_path / "no.mp4").write_bytes(b"no video")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.mp4")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("no video that can be read")
    record(tmp_path / "walk.mp4", "east")
    page.locator("input[type=file]").set_input_files(tmp_path / "walk.mp4")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="walk.mp4")).to_be_visible()
    expect(page.get_by_text("Line middle")).to_be_visible()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()


def test_an_uploaded_video_is_analysed_and_its_results_are_taken_away(page: Page, tmp_path: Path) -> None:
    page.goto("/new")
    page.get_by_role("radio", name="Pedestrians").check()
    page.locator("input[type=file]").set_input_files(cut(configs() / "media" / "walkway.mp4", tmp_path / "walkway.mp4"))
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("Pedestrians: done")).to_be_visible(timeout=240_000)

    def taken(name: str) -> Path:
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        assert download.value.suggested_filename == Path(name).name
        download.value.save_as(tmp_path / "taken" / name)
        return tmp_path / "taken" / name

    rows = [line.split(",") for line in taken("camera.txt").read_text().splitlines()]
    assert rows and all(len(row) == 10 and 1 <= int(row[0]) <= FRAMES for row in rows)
    with taken("tracks.csv").open(newline="") as file:
        boxes = list(csv.DictReader(file))
    assert len(boxes) == len(rows) and {box["camera"] for box in boxes} == {"camera"}
    with av.open(str(taken("mosaic.mp4"))) as video:
        assert sum(1 for _ in video.decode(video=0)) >= FRAMES - 1
    with zipfile.ZipFile(taken("report.zip")) as report:
        assert report.testzip() is None and "index.html" in report.namelist()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove it").click()
    expect(page).to_have_url(re.compile("/new$"))
    expect(page.get_by_role("link", name="walkway.mp4")).to_have_count(0)


FRAMES = 25


def cut(clip: Path, to: Path) -> Path:
    """The first frames of a clip."""
    with av.open(str(clip)) as source, av.open(str(to), "w") as output:
        shot = source.streams.video[0]
        stream = output.add_stream("libx264", rate=shot.average_rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = shot.width, shot.height, "yuv420p"
        for frame in itertools.islice(source.decode(shot), FRAMES):
            frame.pict_type = 0
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return to


def test_who_was_corrected_away_leads_to_who_it_turned_out_to_be(page: Page, folder: Path) -> None:
    page.goto("/identities/plaza-000002")
    expect(page.get_by_text("closed, revision")).to_be_visible()
    merge(folder / "ledger.sqlite", "plaza-000002", "plaza-000001")
    expect(page.get_by_text("merged, revision")).to_be_visible()
    page.get_by_role("link", name="merged into plaza-000001").click()
    expect(page).to_have_url(re.compile("/identities/plaza-000001$"))
    expect(page.get_by_text("first published as plaza-000002")).to_have_count(2)
    expect(page.get_by_role("link", name="east, track 2")).to_be_visible()


def merge(ledger: Path, identity: str, into: str) -> None:
    """Say in a ledger that two were one."""
    said = [stored.value for stored in SqliteReader(ledger).read(IDENTITIES) if stored.value["identity"] == identity][
        -1
    ]
    value = {**said, "event": "merged", "into": into, "revision": said["revision"] + 1}
    writer = SqliteWriter(ledger, "plaza")
    writer.open()
    writer.commit([open_codec().encode(Record(IDENTITIES, identity, value, said["time"] * 1000))], {})
    writer.close()
