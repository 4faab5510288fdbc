"""From a site's configuration to its parts. The one place that knows which class does what.

Heavy parts (models, decoders, ledgers) are imported where they are built: a driver that only launches never
loads Paddle, and a site of detections files never needs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtmct.counting import CountingEngine
from mtmct.floor import Floor, FloorMask
from mtmct.fusion import FusionEngine
from mtmct.settings import AppearanceCalibration
from mtmct.site_flow import SiteFlow
from mtmct.topology import CameraGeometry, Topology
from operators.draw import Privacy
from operators.exported_model import Description, find_configuration, read_configuration
from operators.inference import ModelError, find_model_file
from operators.records import Detections
from pipeline.address import Place
from pipeline.analysis import CameraAnalysis
from pipeline.camera import CameraChain
from pipeline.chain_parts import Describer, Embedder, Tracker
from pipeline.commit_order import CommitOrder
from pipeline.config import Camera, Site
from pipeline.config_rules import Snapshots
from pipeline.fusion_service import FusionService
from pipeline.fusion_settings import fusion_settings, site_flow_settings
from pipeline.health import HealthServer
from pipeline.incident_pictures import IncidentPictures, Keeping
from pipeline.ledger.base import LedgerReader, LedgerWriter
from pipeline.link import FusionLink
from pipeline.member import Member
from pipeline.metrics.recorder import Recorder, Silent
from pipeline.metrics.shard_watch import ShardWatch
from pipeline.metrics.site_watch import SiteWatch
from pipeline.parts import Engine, Parts
from pipeline.reader import Reader
from pipeline.schema.codec import open_codec
from pipeline.shard import Detector, OpenMember, Shard
from pipeline.sources.base import Source, SourceError
from pipeline.sources.detections import DetectionFile
from pipeline.sources.factory import open_source
from pipeline.sources.paced import Paced
from pipeline.thumbnail_files import CameraThumbnails, clear, folder_of
from pipeline.thumbnails import Thumbnails


def build_source(site: Site, camera: Camera) -> Source:
    """The camera's source, not yet opened."""
    return open_source(
        camera.id,
        camera.source,
        base=site.base,
        fps=camera.fps,
        crop=camera.crop,
        start=camera.start,
        clock_offset_ms=camera.clock_offset_ms,
        classes=site.classes,
        live=camera.live.options,
    )


def device_of(site: Site) -> str:
    """Where a worker's models run."""
    return "gpu" if site.resources.gpus_per_worker > 0 else "cpu"


def build_detector(site: Site) -> Detector:
    """The site's detector; its class indices refer to `site.classes`."""
    from operators.detect import open_detector
    from operators.tiles import TiledDetector

    detector = open_detector(
        model_path(site, site.detector.model),
        device=device_of(site),
        threads=site.resources.threads,
        precision=site.resources.precision,
        gpu_memory_mb=site.resources.gpu_memory_mb,
        score_threshold=site.detector.score_threshold,
        classes=site.classes,
    )
    return TiledDetector(detector) if site.tiled else detector


def build_embedder(site: Site) -> Embedder | None:
    """The site's embedder; None where it wants none, or where its detector says how things look."""
    if site.embedder.model == "none" or gives_looks(site):
        return None
    from operators.embed import open_embedder

    return open_embedder(
        model_path(site, site.embedder.model),
        device=device_of(site),
        threads=site.resources.threads,
        precision=site.resources.precision,
        gpu_memory_mb=site.resources.gpu_memory_mb,
    )


def build_describers(site: Site) -> list[Describer]:
    """What says what the site's objects are like.

    Raises:
        ModelError: a network cannot be loaded, is none for attributes, or tells of something else.
    """
    if not site.attributes.models:
        return []
    from operators.attributes import open_attributes

    found: list[Describer] = []
    for kind, model in site.attributes.models.items():
        reader = open_attributes(
            site.base / model,
            device=device_of(site),
            threads=site.resources.threads,
            precision=site.resources.precision,
            gpu_memory_mb=site.resources.gpu_memory_mb,
        )
        if (kind == "person") != ("person" in reader.classes):
            other = "vehicle" if kind == "person" else "person"
            raise ModelError(f"attributes.{kind}: {model} tells of a {other}; give it as `{other}`")
        found.append(reader)
    return found


def describe_detector(site: Site) -> Description | None:
    """What stands beside the site's own detector; None for the bundled one, or where nothing does."""
    path = model_path(site, site.detector.model)
    if not isinstance(path, Path):
        return None
    configuration = find_configuration(find_model_file(path).parent)
    return None if configuration is None else read_configuration(configuration)


def gives_looks(site: Site) -> bool:
    """Its detector is a one-shot network (FairMOT, JDE): embeddings come along with the boxes."""
    description = describe_detector(site)
    return description is not None and description.one_shot


def build_tracker(site: Site, camera: Camera, source: Source) -> Tracker:
    """The site's tracker for one camera. Its parameters count in frames of the camera's own rate, where that is known.

    A tracker that goes by the ground plane gets the camera's homography.

    Raises:
        TrackerError: there is no such tracker or parameter, or the camera lacks the homography that it goes by.
    """
    from operators.track import TrackerError, create, find, parameters_of

    rate = source.rate() or camera.fps
    known: dict[str, Any] = {} if rate is None else {"rate_hz": rate}
    if "homography" in parameters_of(find(site.tracker.name)) and "homography" not in site.tracker.parameters:
        if camera.homography is None:
            raise TrackerError(
                f"camera {camera.id}: the tracker {site.tracker.name} goes by the ground plane: "
                "give the camera a `homography`, or take another tracker"
            )
        known["homography"] = camera.homography
    description = describe_detector(site) if "offsets" in parameters_of(find(site.tracker.name)) else None
    if description is not None and source.brings == "frames":
        known["offsets"] = description.looks_back
    return create(site.tracker.name, **{**known, **site.tracker.parameters})


def model_path(site: Site, model: str) -> str | Path:
    """A word that names a built-in model as it is; anything else as a path from the site's folder."""
    return model if model in {"default", "none"} else site.base / model


def build_shard(site: Site, cameras: tuple[str, ...], link: FusionLink, recorder: Recorder | None = None) -> Shard:
    """A shard of the site's cameras."""
    open_member, detector = build_opening(site, cameras, link)
    watch = ShardWatch(recorder or Silent())
    return Shard(open_member=open_member, cameras=cameras, detector=detector, link=link, watch=watch)


def build_opening(site: Site, cameras: tuple[str, ...], link: FusionLink) -> tuple[OpenMember, Detector | None]:
    """What a shard opens these cameras with. Models are built only if one of the sources needs them."""
    sources = {camera: build_source(site, site.camera(camera)) for camera in cameras}
    detector = build_detector(site) if any(s.brings == "frames" for s in sources.values()) else None
    embedder = build_embedder(site) if any(s.brings == "frames" for s in sources.values()) else None
    describers = build_describers(site) if any(s.brings == "frames" for s in sources.values()) else []

    _warm_up(site, sources, embedder)

    def open_member(camera: str, news: Callable[[], None]) -> Member | None:
        resume = link.start_camera(camera)
        if resume.final:
            return None
        source = sources[camera]
        thumbnails = build_thumbnails(site, site.camera(camera), source)
        chain = CameraChain(
            site=site.site,
            camera=camera,
            classes=source.classes or site.classes,
            interval_ns=site.interval_ns,
            tracker=None if source.brings == "tracks" else build_tracker(site, site.camera(camera), source),
            embedder=embedder if source.brings == "frames" else None,
            embed_every=site.embedder.every,
            describers=describers if source.brings == "frames" else (),
            describe_every=site.attributes.every,
            mask=build_mask(site, site.camera(camera)),
            analysis=build_analysis(site, site.camera(camera), source),
            thumbnails=thumbnails,
            epoch=resume.epoch,
            sequence=resume.sequence,
            state=resume.state,
        )
        return Member(camera, resume.epoch, chain, Reader(source, chain.position, news), thumbnails=thumbnails)

    return open_member, detector


def _warm_up(site: Site, sources: Mapping[str, Source], embedder: Embedder | None) -> None:
    """Have compiled, before the first frame comes, what numba compiles at first use: live cameras would lose frames."""
    for camera, source in sources.items():
        if source.brings != "tracks":
            build_tracker(site, site.camera(camera), source).update(Detections.empty(), 0)
            break
    if any(site.rules(site.camera(camera)) for camera in sources):
        from operators.analyse.analyser import warm_up

        warm_up()
    if embedder is not None:
        embedder.embed(np.zeros((64, 32, 3), np.uint8), np.array([[0, 0, 32, 64]], np.float32))


def build_mask(site: Site, camera: Camera) -> FloorMask | None:
    """The site's floor in this camera's picture; None where everything counts."""
    if site.floor is None or camera.homography is None:
        return None
    matrix = np.asarray(camera.homography, np.float64)
    topology = Topology([CameraGeometry(camera.id, matrix, picture_size(site, camera))])
    return FloorMask(Floor(site.floor), topology, camera.id)


def build_analysis(site: Site, camera: Camera, source: Source) -> CameraAnalysis | None:
    """What is looked for in the camera's picture; None where that is nothing."""
    rules = site.rules(camera)
    if not rules:
        return None
    return CameraAnalysis(
        site=site.site,
        camera=camera.id,
        rules=rules,
        classes=source.classes or site.classes,
        homography=None if camera.homography is None else np.asarray(camera.homography, np.float64),
        size=picture_size(site, camera),
        pictures=None if site.snapshots is None else build_pictures(site, site.snapshots, camera),
    )


def build_pictures(site: Site, shots: Snapshots, camera: Camera) -> IncidentPictures:
    """Where the pictures of the camera's incidents are kept; every camera has the same share of the room."""
    keeping = Keeping(round(shots.keep * 1e9), shots.most // len(site.cameras))
    return IncidentPictures(shots.folder, camera.id, Privacy(shots.blur), keeping)


def build_thumbnails(site: Site, camera: Camera, source: Source) -> Thumbnails | None:
    """Where small pictures of whom the camera tracks are kept: of a live one, as a recording can be asked later."""
    chosen, folder = site.thumbnails, folder_of(Place.of(site))
    if chosen is None or not source.live:
        clear(folder, camera.id)
        return None
    files = CameraThumbnails(folder, camera.id, round(chosen.keep * 1e9), chosen.most // len(site.cameras))
    return Thumbnails(files, source.classes or site.classes, Privacy(chosen.blur))


def picture_size(site: Site, camera: Camera) -> tuple[int, int] | None:
    """Width and height of the camera's (cropped) picture; None where that is not known before it is seen."""
    if camera.crop is not None:
        return camera.crop[2] - camera.crop[0], camera.crop[3] - camera.crop[1]
    source = build_source(site, camera)
    if source.live:
        return None
    try:
        source.open(None)
        return source.size
    except SourceError:
        return None  # whoever reads it will say so
    finally:
        source.close()


def build_topology(site: Site) -> Topology:
    """Where the cameras look."""
    return Topology(
        [
            CameraGeometry(
                camera.id,
                None if camera.homography is None else np.asarray(camera.homography, np.float64),
                picture_size(site, camera),
            )
            for camera in site.cameras
        ]
    )


def appearance_of(site: Site) -> AppearanceCalibration:
    """What cosines of the embeddings say that the site's workers send."""
    from operators.embed import NeuralEmbedder, StripeEmbedder

    sources = [build_source(site, camera) for camera in site.cameras]
    # Embeddings that stand in files are a network's; the built-in descriptor's are ours.
    own = any(source.brings == "frames" for source in sources) or not any(s.brings_embeddings for s in sources)
    described = own and site.embedder.model == "default" and not gives_looks(site)
    of_model = StripeEmbedder.calibration if described else NeuralEmbedder.calibration
    of_sources = {source.calibration for source in sources if source.brings_embeddings}
    known = of_sources.pop() if len(of_sources) == 1 else None
    slope, offset = site.embedder.calibration or known or of_model
    return AppearanceCalibration(slope, offset)


def build_engine(site: Site) -> Engine:
    """The site's fusion engine; with the site's own figures where they are wanted."""
    engine = FusionEngine(site.site, build_topology(site), fusion_settings(site.fusion, appearance_of(site)))
    if not site.counts_the_site:
        return engine
    return CountingEngine(engine, SiteFlow(site.site, site_flow_settings(site)), site.interval_ns)


def build_writer(site: Site, on_wait: Callable[[str], None]) -> LedgerWriter:
    """The site's ledger, for its FusionActor."""
    if site.ledger.kafka is not None:
        from pipeline.ledger.kafka import KafkaWriter

        return KafkaWriter(site.site, site.ledger.kafka.settings, on_wait=on_wait)
    from pipeline.ledger.sqlite import SqliteWriter

    return SqliteWriter(site.ledger_path, site.site, on_wait=on_wait)


def build_reader(site: Site) -> LedgerReader:
    """The site's ledger, for consumers."""
    if site.ledger.kafka is not None:
        from pipeline.ledger.kafka import KafkaReader

        return KafkaReader(site.site, site.ledger.kafka.settings)
    from pipeline.ledger.sqlite import SqliteReader

    return SqliteReader(site.ledger_path, site.site)


def build_service(
    site: Site, clock: Callable[[], float] = time.monotonic, recorder: Recorder | None = None
) -> FusionService:
    """All that the FusionActor does, ready to `start`."""
    service: FusionService
    parts = build_parts(site)
    ledger = build_writer(site, lambda message: service.on_wait(message))
    service = FusionService(
        order=CommitOrder(site.site, parts.cameras, site.interval_ns, site.idle_timeout, clock),
        engine=parts.engine,
        ledger=ledger,
        encode=open_codec(site.ledger.codec).encode,
        watch=SiteWatch(recorder or Silent(), parts.by_the_clock),
        health=None if site.health is None else HealthServer(site.health.host, site.health.port),
    )
    return service


def build_parts(site: Site) -> Parts:
    """What of the FusionActor depends on the site's cameras."""
    sources = {camera.id: build_source(site, camera) for camera in site.cameras}
    return Parts(
        cameras={camera: source.live for camera, source in sources.items()},
        engine=build_engine(site),
        by_the_clock=tuple(c.id for c in site.cameras if _keeps_to_the_clock(c, sources[c.id])),
    )


def _keeps_to_the_clock(camera: Camera, source: Source) -> bool:
    """Whether event time is the wall clock's; a paced recording's is where it is told to start now."""
    return source.live and (camera.start is not None or not counts_from_start(source))


def counts_from_start(source: Source) -> bool:
    """Whether its first frame is at `start:`, and not at a time of its own."""
    if isinstance(source, DetectionFile):
        return not source.contents.has_times
    return isinstance(source, Paced) or not source.live
