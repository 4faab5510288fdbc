"""Reading a site's YAML file. Every error is a `ConfigError` that names file, line, field and remedy."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from operators.analyse.rules import Line, RuleError, Zone
from pipeline.config import (
    Camera,
    ConfigError,
    Site,
    SiteFile,
    Sqlite,
)

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NUMBER = re.compile(r"\{n(?::([^{}]*))?\}")
_MOST_VALUES, _DEEPEST = 500_000, 100
_NUMBER_FORMAT = re.compile(r"0?[0-9]{0,2}[dxX]?")


def load(path: Path) -> Site:
    """Read a site's YAML file. Relative paths become absolute: workers may run in another folder.

    Raises:
        ConfigError: the file is missing, no YAML, or says something that cannot be done.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; give the path of a site's YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the file cannot be read ({error})") from None
    site = parse(text, path)
    ledger = site.ledger
    if ledger.kafka is None:
        ledger = ledger.model_copy(update={"sqlite": Sqlite(path=site.ledger_path.absolute())})
    shots = site.snapshots
    if shots is not None:
        shots = shots.model_copy(update={"folder": shots.folder.absolute()})
    thumbnails = site.thumbnails
    if thumbnails is not None and ledger.kafka is not None:
        folder = thumbnails.folder or Path("run") / f"{site.site}.thumbnails"
        thumbnails = thumbnails.model_copy(update={"folder": folder.absolute()})
    changes = {"base": site.base.absolute(), "ledger": ledger, "snapshots": shots, "thumbnails": thumbnails}
    return site.model_copy(update=changes)


def parse(text: str, path: Path) -> Site:
    """`text` as a site; `path` names it in errors and is where relative paths start."""
    try:
        document = YAML(typ="rt").load(StringIO(text))
    except DuplicateKeyError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        twice = re.search(r'duplicate key "(.*?)" with', str(error.problem))
        what = f"{twice[1]!r} stands here twice" if twice else "a name stands here twice"
        raise ConfigError(f"{path}{line}: {what}; give each a name of its own") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: this is not valid YAML ({error.problem or error.context})") from None
    except RecursionError:
        raise ConfigError(f"{path}: this is not valid YAML (brackets within brackets, too deep to read)") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: this is not valid YAML ({error})") from None
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{path}: a site's file holds fields such as `site:` and `cameras:`; this one does not")
    for reserved in ("base", "file"):
        if reserved in document:
            raise ConfigError(_sentence(path, document, (reserved,), f"unknown field {reserved!r}; take it out"))
    plain = _expand_variables(document, path, document, (), iter(range(_MOST_VALUES)))
    try:
        file = SiteFile.model_validate({**plain, "base": path.parent, "file": path})
    except ValidationError as error:
        found = error.errors()
        # A list whose items were refused counts as empty: that is no mistake of its own.
        wrong = {item["loc"][:depth] for item in found for depth in range(1, len(item["loc"]))}
        told = [item for item in found if item["type"] != "too_short" or item["loc"] not in wrong]
        raise ConfigError("\n".join(_explain(path, document, item) for item in told)) from None
    return _expand_ranges(file, path, document)


def _expand_variables(node: Any, path: Path, document: Any, loc: tuple[int | str, ...], left: Iterator[int]) -> Any:
    """The document as plain values, with `${NAME}` taken from the environment.

    Args:
        left: gives as often as there may be another value: a few aliases of aliases can stand for billions.
    """
    if next(left, None) is None or len(loc) > _DEEPEST:
        reason = "there are too many values in it; does an alias (`*name`) stand for itself, or for very many others?"
        raise ConfigError(f"{path}: {reason}")
    if isinstance(node, dict):
        return {key: _expand_variables(value, path, document, (*loc, key), left) for key, value in node.items()}
    if isinstance(node, list):
        return [_expand_variables(value, path, document, (*loc, i), left) for i, value in enumerate(node)]
    if isinstance(node, str):
        return _filled(str(node), path, document, loc)
    if isinstance(node, float) and not math.isfinite(node):
        raise ConfigError(_sentence(path, document, loc, "this is no number to work with; write a finite one"))
    return node


def _filled(text: str, path: Path, document: Any, loc: tuple[int | str, ...]) -> str:
    """`text` with `${NAME}` taken from the environment."""

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            reason = f"the environment variable {match[1]} is not set; set it before starting"
            raise ConfigError(_sentence(path, document, loc, reason))
        return value

    return _VARIABLE.sub(value_of, text)


def _expand_ranges(file: SiteFile, path: Path, document: Any) -> Site:
    cameras: list[Camera] = []
    for index, entry in enumerate(file.cameras):
        fields = entry.model_dump(exclude={"range"})
        numbers: list[int | None] = [None]
        if entry.range is not None:
            first, last = entry.range
            if last < first or not _NUMBER.search(entry.id):
                reason = "a range needs first <= last, and an id with {n} in it, such as gate-{n:02d}"
                raise ConfigError(_sentence(path, document, ("cameras", index, "range"), reason))
            numbers = list(range(first, last + 1))
        for n in numbers:
            # Numbers are filled into what stands in the file: a secret from the environment may hold anything.
            values = fields if n is None else fields | _numbered(n, path, document, ("cameras", index))
            try:
                camera = Camera.model_validate(values)
            except ValidationError as error:
                item = error.errors()[0]
                loc = ("cameras", index, *item["loc"])
                raise ConfigError(_explain(path, document, {**item, "loc": loc})) from None
            _check_rules(camera, file.classes, path, document, index)
            cameras.append(camera)
    seen: set[str] = set()
    for camera in cameras:
        if camera.id in seen:
            at = next(
                (i for i, e in reversed(list(enumerate(file.cameras))) if e.id == camera.id), len(file.cameras) - 1
            )
            reason = f"there are two cameras called {camera.id!r}; give every camera an id of its own"
            raise ConfigError(_sentence(path, document, ("cameras", at, "id"), reason))
        seen.add(camera.id)
    for index, way in enumerate(file.fusion.paths):
        for field, camera_id in (("from", way.from_), ("to", way.to)):
            if camera_id not in seen:
                near = difflib.get_close_matches(camera_id, seen, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "paths lead between the site's cameras"
                loc = ("fusion", "paths", index, field)
                raise ConfigError(_sentence(path, document, loc, f"there is no camera {camera_id!r}; {hint}"))
    fields = {name: getattr(file, name) for name in Site.model_fields if name != "cameras"}
    return Site(**fields, cameras=tuple(cameras))


def _check_rules(camera: Camera, classes: Sequence[str], path: Path, document: Any, index: int) -> None:
    """Refuse lines and zones that the camera cannot have."""
    size = None if camera.crop is None else (camera.crop[2] - camera.crop[0], camera.crop[3] - camera.crop[1])
    rules: list[tuple[str, str, Line | Zone]] = [
        ("lines", name, line.rule(name)) for name, line in camera.lines.items()
    ]
    rules += [("zones", name, zone.rule(name)) for name, zone in camera.zones.items()]
    for kind, name, rule in rules:
        loc = ("cameras", index, kind, name)
        if kind == "zones" and name in camera.lines:
            reason = f"{name!r} is the name of a line as well; names must differ within a camera"
            raise ConfigError(_sentence(path, document, loc, reason))
        if isinstance(rule, Zone) and rule.needs_ground and camera.homography is None:
            reason = "metres need a calibrated camera: give it a `homography`, or take out max_speed and proximity"
            raise ConfigError(_sentence(path, document, loc, reason))
        unknown = [cls for cls in rule.classes or () if cls not in classes]
        # Files of detections may have classes of their own, which are known once they are opened.
        if unknown and not camera.source.startswith("detections:"):
            near = difflib.get_close_matches(unknown[0], classes, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the site keeps {', '.join(classes)}"
            raise ConfigError(_sentence(path, document, (*loc, "classes"), f"unknown class {unknown[0]!r}; {hint}"))
        try:
            if size is not None:
                rule.placed(size)
        except RuleError as error:
            raise ConfigError(_sentence(path, document, loc, str(error))) from None


def _numbered(n: int, path: Path, document: Any, loc: tuple[int | str, ...]) -> dict[str, str]:
    """`id` and `source` of the camera at `loc` with `n` in place of `{n}`, and then with the environment's values."""
    entry = document[loc[0]][loc[1]]
    values: dict[str, str] = {}
    for field in ("id", "source"):

        def number(match: re.Match[str], at: tuple[int | str, ...] = (*loc, field)) -> str:
            form = match[1] or ""
            if not _NUMBER_FORMAT.fullmatch(form):
                raise ConfigError(_sentence(path, document, at, "{n} could not be filled in; write {n} or {n:02d}"))
            return format(n, form)

        text = _NUMBER.sub(number, str(entry[field]))
        values[field] = _filled(text, path, document, (*loc, field))
    return values


def _line(document: Any, loc: tuple[int | str, ...]) -> int | None:
    """Line, from 1, of the deepest part of `loc` that stands in the file."""
    line, node = None, document
    for key in loc:
        try:
            if isinstance(node, CommentedMap):
                line = node.lc.key(key)[0] + 1
            elif isinstance(node, CommentedSeq):
                line = node.lc.item(key)[0] + 1
            else:
                break
            node = node[key]
        except (KeyError, IndexError, TypeError):
            break
    return line


def _sentence(path: Path, document: Any, loc: tuple[int | str, ...], reason: str) -> str:
    line = _line(document, loc)
    field = ""
    loc = tuple(part for part in loc if part != "[key]")  # pydantic's word for a name that is itself at fault
    for part in loc:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    where = f"{path}{f', line {line}' if line else ''}"
    return f"{where}: {field}: {reason}" if field else f"{where}: {reason}"


def _explain(path: Path, document: Any, item: Any) -> str:
    """One pydantic error as a sentence with a remedy."""
    loc = tuple(item["loc"])
    kind = item["type"]
    if kind == "extra_forbidden":
        known = _fields_at(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return _sentence(path, document, loc, f"unknown field; {hint}")
    if kind == "missing":
        return _sentence(path, document, loc, f"this field is missing; add `{loc[-1]}:`")
    reason = _remedy(loc, item) or item["msg"].removeprefix("Value error, ")
    return _sentence(path, document, loc, reason[:1].lower() + reason[1:])


def _remedy(loc: tuple[int | str, ...], item: Any) -> str | None:
    """What to write instead, where pydantic only says what was expected; None where it says enough."""
    told, given = item.get("ctx", {}), item["input"]
    match item["type"]:
        case "greater_than_equal":
            return f"{given} is too small; write {told['ge']:g} or more"
        case "greater_than":
            return f"{given} is too small; write more than {told['gt']:g}"
        case "less_than_equal":
            return f"{given} is too large; write {told['le']:g} or less"
        case "less_than":
            return f"{given} is too large; write less than {told['lt']:g}"
        case "too_short":
            least = told["min_length"]
            return f"{told['actual_length']} are too few; write at least {least}, or leave the field out"
        case "too_long":
            return f"{told['actual_length']} are too many; write {told['max_length']}"
        case "dict_type" if loc[-1] in ("lines", "zones"):
            return f"write each of its {loc[-1]} under a name of its own, as in `door: [[100, 400], [300, 400]]`"
        case "dict_type" | "model_type":
            return f"this is not a single value; write its fields: {', '.join(_fields_at(loc))}"
        case "string_type" if loc[-1] == "[key]":
            return f"a name is text; write it in quotes, as in '{given}'"
        case "string_too_short" if loc[-1] == "[key]":
            return "this name is empty; write one"
    return None


def refused(site: Site, camera: str, field: tuple[str, ...], reason: str) -> ConfigError:
    """The error for what only a camera's source could tell is wrong in its entry of the site's file.

    Args:
        field: names of the fields within the entry, from the outermost.
    """
    if site.file is None:
        return ConfigError(f"camera {camera!r}: {'.'.join(field)}: {reason}")
    try:
        document = YAML(typ="rt").load(site.file.read_text(encoding="utf-8"))
        ids = [re.escape(str(entry["id"])) for entry in document["cameras"]]
        forms = [re.sub(r"\\\{n(:[^{}]*)?\\\}", "[0-9a-fA-F]+", form) for form in ids]
        index = next(row for row, form in enumerate(forms) if re.fullmatch(form, camera))
    except (OSError, YAMLError, KeyError, TypeError, StopIteration):  # the file is no longer what was loaded
        return ConfigError(f"{site.file}: camera {camera!r}: {'.'.join(field)}: {reason}")
    return ConfigError(_sentence(site.file, document, ("cameras", index, *field), reason))


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that the model at `loc` knows."""
    model: type[BaseModel] = SiteFile
    for part in loc:
        if isinstance(part, int):
            continue
        if part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    hidden = {"base", "file"} if model is SiteFile else set()
    return [field.alias or name for name, field in model.model_fields.items() if name not in hidden]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field's type is made of, as in `tuple[Camera, ...]` or `Snapshots | None`."""
    if get_origin(annotation) is None:
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)
