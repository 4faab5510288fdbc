"""The folders of new analyses: what is written in each, and what can be read there of how far it is.

    analyses/7f3a.../site.yaml  analysis.json  input.mp4  run.log  ledger.sqlite  results/

The site's file is there so that what the page did can be done again, and changed, by hand.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from mtmct.records import TRACKS
from operators.records import CrosscamError, unpack
from pipeline.commit_order import SITE_KEY
from pipeline.ledger.sqlite import SqliteReader
from pipeline.profiles import PROFILES
from pipeline.serve.drawing import Drawn
from pipeline.serve.problems import NotFoundError, UnfitError
from pipeline.sources.masking import mask

_log = logging.getLogger(__name__)

CAMERA = "camera"
VIDEO = "mosaic.mp4"  # the annotated one, as `crosscam render` calls it
# What people want, and the profile that does it.
SCENARIOS: Mapping[str, tuple[str, str]] = {
    "pedestrians": ("pedestrian", "People"),
    "vehicles": ("vehicle", "Bicycles, cars, motorcycles, buses and lorries"),
    "classes": ("multiclass", "People and vehicles"),
    "small": ("aerial", "People and vehicles from far away"),
    "heads": ("head", "Heads in crowds; by the official model, once that is fetched"),
    "flow": ("pedestrian", "People across a line through the middle of the picture"),
}
_ID = re.compile(r"^[0-9a-f]{16}$")
_LOG_SHOWN = 4000  # characters, from its end


@dataclass(slots=True)
class Analysis:
    """One of them.

    Attributes:
        state: `ready`, `waiting`, `running`, `drawing`, `done`, `stopped` or `failed`. detail: why, for people.
        progress: 0 to 1; None where there is no end.
    """

    id: str
    name: str
    scenario: str
    state: str = "ready"
    detail: str = ""
    progress: float | None = 0.0
    live: bool = False
    size: tuple[int, int] | None = None
    duration_s: float | None = None
    drawn: dict[str, Any] = field(default_factory=dict)


class AnalysisFolders:
    """All analyses in a folder, as files.

    Args:
        work: the folder.
        models: where `crosscam models pull` has put models that do not come along.
    """

    def __init__(self, work: Path, models: Path = Path("models")) -> None:
        self._work = work.absolute()
        self._models = models.absolute()

    def of(self, name: str) -> Path:
        """The folder of one of them.

        Raises:
            NotFoundError: there can be none of that id.
        """
        if not _ID.match(name):
            raise NotFoundError(f"there is no analysis {name!r} here")
        return self._work / name

    def remembered(self) -> list[Analysis]:
        """Those that an earlier service has left; what was under way is stopped."""
        found = (self._read(file) for file in sorted(self._work.glob("*/analysis.json")))
        return [one for one in found if one is not None]

    def keep(self, one: Analysis) -> None:
        """Write down how it is."""
        fields = {name: getattr(one, name) for name in Analysis.__slots__}
        (self.of(one.id) / "analysis.json").write_text(json.dumps(fields), encoding="utf-8")

    def write_site(self, one: Analysis, source: str, drawn: Drawn) -> None:
        """Write its site's file.

        Raises:
            UnfitError: its scenario needs a model that is not here.
        """
        camera: dict[str, Any] = {"id": CAMERA, "source": source}
        one.drawn = drawn.model_dump()
        camera |= {name: shapes for name, shapes in one.drawn.items() if shapes}
        site = {
            "site": "analysis",
            "profile": SCENARIOS[one.scenario][0],
            "cameras": [camera],
            "ledger": {"sqlite": {"path": "ledger.sqlite"}},
        }
        profile = PROFILES[SCENARIOS[one.scenario][0]]
        if not profile.bundled:
            model = self._models / profile.model
            if not model.is_dir():
                raise UnfitError(
                    f"{one.scenario} need a model that does not come along: fetch it where the service runs, by "
                    f"`crosscam models pull {profile.model}`, and choose this again"
                )
            site["detector"] = {"model": str(model)}
        if one.scenario == "flow":
            site["flow_interval"] = "10s"
        path = self.of(one.id) / "site.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(site, file)
        path.chmod(0o600)  # an address may hold a password

    def source(self, name: str) -> str:
        """What is analysed, as its site's file says it."""
        site = YAML(typ="safe").load((self.of(name) / "site.yaml").read_text(encoding="utf-8"))
        return str(site["cameras"][0]["source"])

    def reached_s(self, name: str) -> float:
        """How far it is, seconds of event time from the start of a video."""
        path = self.of(name) / "ledger.sqlite"
        if not path.exists():
            return 0.0
        try:
            reader = SqliteReader(path)
            kept = reader.state().get(SITE_KEY)
            reader.close()
        except CrosscamError:
            return 0.0
        if kept is None:
            return 0.0
        state = unpack(kept)
        return 0.0 if state["interval"] is None else float((state["interval"] + 1) * state["interval_ns"] / 1e9)

    def has_tracks(self, name: str) -> bool:
        """Whether anything at all was tracked."""
        try:
            reader = SqliteReader(self.of(name) / "ledger.sqlite")
            found = reader.end(TRACKS) is not None
            reader.close()
        except CrosscamError:
            return False
        return found

    def results(self, name: str) -> list[Path]:
        """Its files, to be looked at or taken away."""
        return sorted(path for path in (self.of(name) / "results").rglob("*") if path.is_file())

    def result(self, name: str, file: str) -> Path:
        """One of them.

        Raises:
            NotFoundError: there is none of that name.
        """
        folder = (self.of(name) / "results").resolve()
        path = (folder / file).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise NotFoundError(f"this analysis has no file {file!r}")
        return path

    def log(self, name: str) -> str:
        """The end of what its commands said."""
        try:
            text = (self.of(name) / "run.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return mask(text[-_LOG_SHOWN:])

    def last_words(self, name: str) -> str:
        """The last line of that: why it failed."""
        lines = [line for line in self.log(name).splitlines() if line.strip()]
        return self.plain(lines[-1] if lines else "it said nothing", name)

    def plain(self, text: str, name: str) -> str:
        """A sentence without secrets, and without the folder's own path."""
        folder = str(self.of(name))
        return mask(text.replace(f"{folder}/", "").replace(folder, ""))

    def _read(self, file: Path) -> Analysis | None:
        try:
            one = Analysis(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            _log.warning("%s is no analysis, and is left alone", file)
            return None
        if one.state in ("waiting", "running", "drawing"):
            one.state, one.detail = "stopped", "the service ended meanwhile; start it again to go on"
        one.size = None if one.size is None else (one.size[0], one.size[1])
        return one
