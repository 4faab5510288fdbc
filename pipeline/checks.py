"""What would fail on this machine, found before anything is started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from operators.analyse.rules import Line, RuleError, Zone
from operators.class_names import plain_name
from operators.inference import find_model_file
from pipeline.assembly import (
    build_source,
    build_tracker,
    counts_from_start,
    describe_detector,
    gives_looks,
    model_path,
    picture_size,
)
from pipeline.config import ConfigError, Site
from pipeline.config_file import refused
from pipeline.profiles import SIX
from pipeline.sources.base import Source
from pipeline.sources.paced import Paced


def check(site: Site) -> None:
    """Find, before anything is started, what would fail on this machine.

    Raises:
        TrackerError: a parameter of the tracker that it does not have.
        SourceError: a file that is not there.
        ModelError: a model that is not there.
        ConfigError: cameras that do not go together, or classes that the detector does not know.
    """
    sources: dict[str, Source] = {}
    for camera in site.cameras:
        source = sources[camera.id] = build_source(site, camera)
        build_tracker(site, camera, source)
        source.check()
    _check_times(site, sources)
    _check_embeddings(site, sources)
    _check_rules(site, sources)
    for model in (site.detector.model, site.embedder.model, *site.attributes.models.values()):
        path = model_path(site, model)
        if isinstance(path, Path):
            find_model_file(path)
    if any(source.brings == "frames" for source in sources.values()):
        _check_classes(site)


def _check_rules(site: Site, sources: Mapping[str, Source]) -> None:
    """Lines and zones that lie outside a picture whose size is known by now, or ask for classes nobody has."""
    for camera in site.cameras:
        rules = site.rules(camera)
        if not (rules.lines or rules.zones):
            continue
        classes = sources[camera.id].classes or site.classes
        size = picture_size(site, camera)
        # Of a live camera whoever sees its first picture will say so.
        known = size is not None or sources[camera.id].brings != "frames"
        asked: list[tuple[str, Line | Zone]] = [("lines", line) for line in rules.lines]
        for kind, rule in [*asked, *(("zones", zone) for zone in rules.zones)]:
            unknown = [cls for cls in rule.classes or () if cls not in classes]
            if unknown:
                reason = f"unknown class {unknown[0]!r}; the source has {', '.join(classes)}"
                raise refused(site, camera.id, (kind, rule.name, "classes"), reason)
            try:
                if known:
                    rule.placed(size)
            except RuleError as error:
                raise refused(site, camera.id, (kind, rule.name), str(error)) from None


def _check_times(site: Site, sources: Mapping[str, Source]) -> None:
    """Beside cameras that live now, a recording from 1970 would hold everything back."""
    now = [name for name, source in sources.items() if source.live and not isinstance(source, Paced)]
    for camera in site.cameras:
        if now and camera.start is None and counts_from_start(sources[camera.id]):
            raise _refusal(
                site,
                f"camera {camera.id!r}: give it a `start:`, the time of its first frame; without one that is in 1970, "
                f"and {now[0]!r} is live",
            )


def _check_embeddings(site: Site, sources: Mapping[str, Source]) -> None:
    """The built-in descriptor's embeddings cannot be compared with those of a network."""
    given = [name for name, source in sources.items() if source.brings_embeddings]
    seen = [name for name, source in sources.items() if source.brings == "frames"]
    if given and seen and site.embedder.model == "default" and not gives_looks(site):
        raise _refusal(
            site,
            f"embedder.model: the embeddings of camera {given[0]!r} come from its file and those of {seen[0]!r} from "
            "the built-in descriptor, which cannot be compared; give the path of the model that made the file's, or "
            "`none`",
        )


def _check_classes(site: Site) -> None:
    """What the profile or the file asks for is what the detector can do."""
    chosen, description = site.choices, describe_detector(site)
    own = site.detector.model != "default"
    if chosen.one_shot and not gives_looks(site):
        raise _refusal(
            site,
            f"profile {site.profile}: it needs an exported network that gives embeddings along with boxes; give the "
            f"folder of one as detector.model, such as {chosen.model} ({chosen.figures}; crosscam models list)",
        )
    known: Collection[str] = SIX if not own else () if description is None else description.labels
    names = {plain_name(name) for name in known} | set(known)
    unknown = [name for name in site.classes if known and name not in names and plain_name(name) not in names]
    if not unknown:
        return
    if site.detector.classes is None:
        raise _refusal(
            site,
            f"profile {site.profile}: {'the model' if own else 'the bundled model'} does not know {unknown[0]!r}; give "
            f"an exported model that does as detector.model, such as {chosen.model} ({chosen.figures}; crosscam models "
            f"list), or the names that yours uses as detector.classes: it knows {', '.join(sorted(known))}",
        )
    raise _refusal(
        site, f"detector.classes: the model does not know {unknown[0]!r}; it knows {', '.join(sorted(known))}"
    )


def _refusal(site: Site, reason: str) -> ConfigError:
    return ConfigError(reason if site.file is None else f"{site.file}: {reason}")
