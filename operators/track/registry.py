"""Trackers by name, so that a configuration chooses one with a line."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from operators.track.base import Tracker
from operators.track.errors import TrackerError

DEFAULT = "steady"

# Modules are imported when their tracker is asked for: compiled code is only loaded where it runs.
_BUILT_IN = {
    "steady": "operators.track.steady:Steady",
    "bytetrack": "operators.track.bytetrack:ByteTrack",
    "sort": "operators.track.sort:Sort",
    "ocsort": "operators.track.ocsort:OcSort",
    "botsort": "operators.track.botsort:BotSort",
    "deepsort": "operators.track.deepsort:DeepSort",
    "jde": "operators.track.jde:Jde",
    "fairmot": "operators.track.jde:FairMot",
    "centertrack": "operators.track.centertrack:CenterTrack",
    "ucmctrack": "operators.track.ucmctrack:UcmcTrack",
}


def names() -> tuple[str, ...]:
    """The trackers that `create` knows, apart from those named by their import path."""
    return tuple(_BUILT_IN)


def find(name: str) -> type[Tracker]:
    """The class behind `name`: one of `names()`, or "package.module:Class" of a user's own.

    Raises:
        TrackerError: there is none.
    """
    path = _BUILT_IN.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise TrackerError(
            f'there is no tracker "{name}": take one of {", ".join(names())}, or package.module:Class for your own'
        )
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise TrackerError(f'the tracker "{name}" cannot be imported ({error}): check the path') from error
    if not (isinstance(found, type) and issubclass(found, Tracker)):
        raise TrackerError(f'"{name}" is no tracker: make it a subclass of operators.track.Tracker')
    return found


def parameters_of(kind: type[Tracker]) -> dict[str, Any]:
    """The keyword parameters of a tracker class with their defaults, its own first, then the common ones."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base) or not issubclass(base, Tracker):
            continue
        for parameter in inspect.signature(base.__init__).parameters.values():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, parameter.default)
    return found


def create(name: str, **parameters: Any) -> Tracker:
    """The tracker called `name` with these parameters; its class documents them.

    Raises:
        TrackerError: no such tracker, no such parameter, or a value out of range.
    """
    kind = find(name)
    known = parameters_of(kind)
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise TrackerError(f"{name} has no parameter {', '.join(unknown)}: it knows {', '.join(known)}")
    try:
        return kind(**parameters)
    except (TypeError, ValueError) as error:
        raise TrackerError(f"{name} cannot be made with {parameters}: {error}") from error
