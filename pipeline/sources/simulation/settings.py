"""What stands after `simulated:`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from pipeline.sources.base import SourceError
from pipeline.sources.simulation.plan import PLACES

_SMALLEST = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """What `simulated:place=mall,cameras=8,camera={n},...` may say.

    All but `camera` and what follows it say what the site is: cameras of one site say the same there.

    Attributes:
        place: hall (one room, views overlap), mall (corridors and shops, some overlap), streets (vehicles, none do).
        cameras: how many the site has.
        people: how many come and go; of them two in three or more are in the place at any time.
        together: share of them who walk in pairs.
        renewal: after so many visits of one person somebody new comes instead; 0: the same people for ever.
        seed: who goes where and when, and what they look like.
        width: of the pictures, pixels.
        height: of the pictures, pixels.
        embedding: size of appearance embeddings; 0 gives none.
        rank1: share of embeddings of which the most similar one in other cameras is the same person's.
        jitter: error of a box's sides, one standard deviation, part of its size.
        missed: share of visible boxes that are not found; of half hidden ones more are not.
        false: boxes a second on nothing.
        skew: error of the cameras' clocks, one standard deviation, milliseconds.
        outages: how often an hour a camera gives nothing for ten seconds to a minute.
        breaks: share of tracks that go on under a new id when a box was not found for a third of a second or more.
        swaps: share of tracks that take the id of who hid them.
        camera: which of the cameras, from 1.
        seconds: length; 0 never ends.
        picture: 1 draws who is seen, for a detector; 0 gives boxes.
        shown: 1 draws who is seen and gives boxes as well, for somebody to look at.
        tracks: 1 gives ids as well, so that no tracker is needed.
        paced: 1 gives frames when they are due, as a live camera does.
    """

    place: str = "hall"
    cameras: int = 1
    people: int = 5
    together: float = 0.2
    renewal: int = 0
    seed: int = 0
    width: int = 1280
    height: int = 720
    embedding: int = 0
    rank1: float = 0.9
    jitter: float = 0.02
    missed: float = 0.03
    false: float = 0.0
    skew: float = 0.0
    outages: float = 0.0
    breaks: float = 0.3
    swaps: float = 0.05
    camera: int = 1
    seconds: float = 20.0
    picture: bool = False
    shown: bool = False
    tracks: bool = False
    paced: bool = False

    def text(self) -> str:
        """As it stands in a site's file: what differs from the usual."""
        usual = Settings()
        said = [
            f"{f.name}={value if isinstance(value, str) else f'{value:.15g}'}"
            for f in fields(self)
            if (value := getattr(self, f.name)) != getattr(usual, f.name)
        ]
        return f"simulated:{','.join(said)}"


_SHARES = ("together", "missed", "breaks", "swaps")


class SettingsError(Exception):
    """Settings that cannot be; the sentence says which and what to write."""


def read_settings(camera: str, text: str) -> Settings:
    """The settings in `simulated:people=5,seconds=20,seed=1`.

    Raises:
        SourceError: an unknown name, or a value that it cannot have.
    """
    try:
        return parse_settings(part for part in text.partition(":")[2].replace(" ", "").split(",") if part)
    except SettingsError as problem:
        raise SourceError(f"camera {camera!r}: simulated: {problem}") from None


def parse_settings(assignments: Iterable[str]) -> Settings:
    """The settings in `people=5`, `seconds=20`, ...

    Raises:
        SettingsError: an unknown name, or a value that it cannot have.
    """
    usual = Settings()
    values: dict[str, str | float] = {}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in Settings.__slots__:
            known = ", ".join(f.name for f in fields(Settings))
            raise SettingsError(f"unknown setting {name!r}; known are {known}")
        values[name] = value if name == "place" else _number(name, value, type(getattr(usual, name)))
    settings = Settings(**values)  # type: ignore[arg-type]
    if problem := _problem(settings):
        raise SettingsError(problem)
    return settings


def _number(name: str, value: str, kind: type[float]) -> float:
    try:
        number = kind(float(value))
        valid = 0 <= number == float(value) < float("inf")
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        whole = "whole number" if kind is int else "number"
        wanted = "0 or 1" if kind is bool else f"a {whole} from 0 on"
        raise SettingsError(f"{name} cannot be {value!r}; write {wanted}")
    return number


def _problem(settings: Settings) -> str | None:
    """What is wrong with values that are right each for itself; None if nothing is."""
    if settings.place not in PLACES:
        return f"there is no place {settings.place!r}; known are {', '.join(PLACES)}"
    if not 1 <= settings.camera <= settings.cameras:
        return f"camera={settings.camera} is none of cameras={settings.cameras}; they count from 1"
    for name in _SHARES:
        if getattr(settings, name) > 1:
            return f"{name} must be at most 1"
    if settings.embedding and not 0 < settings.rank1 < 1:
        return f"rank1={settings.rank1:g} must lie between 0 and 1"
    if min(settings.width, settings.height) < _SMALLEST:
        return f"width and height must be at least {_SMALLEST}"
    return None
