"""From a site's file to the settings of the engine (`fusion:`, and the names of both) and of the site's figures."""

from __future__ import annotations

from dataclasses import fields, replace

from mtmct.settings import AppearanceCalibration, FusionSettings, Path
from mtmct.site_flow import SiteFlowSettings
from pipeline.config import USUAL_FLOW_INTERVAL_S, Site
from pipeline.config_fusion import Fusion

_UNITS = ("", "_s", "_m", "_m2")  # the file says `max_gap: 5m`, the engine `max_gap_s = 300.0`
_OWN = {"publish", "travel_times", "paths"}  # fields of the file that are no number of the engine's


def setting_of(name: str) -> str:
    """What the engine calls the field `name` of the file: `max_gap_s` for `max_gap`.

    Raises:
        KeyError: it has no such setting.
    """
    known = {field.name for field in fields(FusionSettings)}
    for unit in _UNITS:
        if name + unit in known:
            return name + unit
    raise KeyError(name)


def fusion_settings(fusion: Fusion, appearance: AppearanceCalibration | None = None) -> FusionSettings:
    """The engine's settings: what the file says, and fusion's own where it says nothing."""
    settings = FusionSettings() if appearance is None else FusionSettings(appearance=appearance)
    given = {
        setting_of(name): value
        for name in Fusion.model_fields
        if name not in _OWN and (value := getattr(fusion, name)) is not None
    }
    paths = [Path(way.from_, way.to, way.min, way.typical, way.max) for way in fusion.paths]
    paths += [Path(way.to, way.from_, way.min, way.typical, way.max) for way in fusion.paths if way.both_ways]
    travel = fusion.travel_times == "learned" or bool(paths)
    return replace(settings, provisional=fusion.publish == "provisional", travel=travel, paths=tuple(paths), **given)


def site_flow_settings(site: Site) -> SiteFlowSettings:
    """What the site's figures go by. Lines of one name in several cameras are one, and zones; with all directions."""
    lines: dict[str, dict[str, None]] = {}
    zones: dict[str, None] = {}
    for camera in site.cameras:
        zones.update(dict.fromkeys(zone.name for zone in site.rules(camera).zones))
        for line in site.rules(camera).lines:
            lines.setdefault(line.name, {}).update(dict.fromkeys((line.forward, line.backward)))
    return SiteFlowSettings(
        interval_s=site.flow_interval or USUAL_FLOW_INTERVAL_S,
        gone_after_s=site.site_figures.gone_after,
        restate_s=site.site_figures.restate,
        lines=tuple((name, tuple(directions)) for name, directions in lines.items()),
        zones=tuple(zones),
    )
