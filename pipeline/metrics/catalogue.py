"""Every metric of a site's actors, each with its unit and what it says.

The names are Prometheus'; Ray puts `ray_` before them. All carry `site`, besides the tags named here. What the service
tells stands in `pipeline.metrics.served`. deploy/grafana draws them, deploy/prometheus raises alarms on them, and
deploy/RUNBOOK.md says what each alarm means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# Seconds: what a disk, a broker, and a broker in trouble take for a commit.
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Seconds: half a commit interval up to what `idle_timeout` and an outage add.
_LONG = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: without Ray's prefix.
        kind: what it is to Prometheus.
        unit: what its values count.
        help: a sentence.
        tags: beside `site`.
        buckets: upper bounds of a histogram's buckets.
        by_ray: it is told through Ray, by an actor; otherwise by the service itself.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    tags: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    by_ray: bool = True

    @property
    def exported(self) -> str:
        """The name under which Prometheus sees it."""
        return f"ray_{self.name}" if self.by_ray else self.name


# --- a worker's, by camera ------------------------------------------------------------------------------------------

FRAMES_DECODED = Metric(
    "crosscam_frames_decoded_total", "counter", "frames", "Frames that came out of the camera's source.", ("camera",)
)
FRAMES_TRACKED = Metric(
    "crosscam_frames_tracked_total", "counter", "frames", "Frames that went through the tracker.", ("camera",)
)
FRAMES_DROPPED = Metric(
    "crosscam_frames_dropped_total",
    "counter",
    "frames",
    "Frames that were not tracked, by reason; decoded = tracked + dropped + waiting.",
    ("camera", "reason"),
)
BOXES_LEFT_OUT = Metric(
    "crosscam_boxes_left_out_total",
    "counter",
    "boxes",
    "Boxes that were not used or had to be repaired, by reason.",
    ("camera", "reason"),
)
INTERRUPTIONS = Metric(
    "crosscam_source_interruptions_total",
    "counter",
    "interruptions",
    "How often a live source was lost or could not be connected to.",
    ("camera",),
)
CONNECTED = Metric(
    "crosscam_source_connected",
    "gauge",
    "yes or no",
    "1 while the camera's source gives pictures, 0 while it is lost.",
    ("camera",),
)
FRAMES_WAITING = Metric(
    "crosscam_frames_waiting",
    "gauge",
    "frames",
    "Frames read ahead that wait for the worker (at most 4 of a file, half a second of a live camera).",
    ("camera",),
)
BATCHES_UNACKNOWLEDGED = Metric(
    "crosscam_batches_unacknowledged",
    "gauge",
    "batches",
    "Batches that a worker has sent and fusion has not committed (at most 8; then files wait and live cameras drop).",
    ("camera",),
)

# --- fusion's, by camera --------------------------------------------------------------------------------------------

BATCHES_WAITING = Metric(
    "crosscam_batches_waiting", "gauge", "batches", "Batches that wait in fusion for their commit.", ("camera",)
)
WATERMARK_LAG = Metric(
    "crosscam_watermark_lag_seconds",
    "gauge",
    "seconds",
    "How far behind the wall clock a live camera has said everything.",
    ("camera",),
)
CAMERA_FAILED = Metric(
    "crosscam_camera_failed", "gauge", "yes or no", "1 if the camera's source cannot be used in this run.", ("camera",)
)
TAKEOVERS = Metric(
    "crosscam_camera_takeovers_total",
    "counter",
    "takeovers",
    "How often a worker has taken the camera over, the first one included.",
    ("camera",),
)
LATE_TRACKLETS = Metric(
    "crosscam_late_tracklets_total",
    "counter",
    "tracklets",
    "Tracklets that came after their commit interval was out and are dead letters.",
    ("camera",),
)
CLOCK_SKEW = Metric(
    "crosscam_clock_skew_seconds",
    "gauge",
    "seconds",
    "By how much the camera's clock is ahead, seen from people in two views; needs `fusion: {clock_skew: report}`.",
    ("camera",),
)

# --- fusion's, of the site ------------------------------------------------------------------------------------------

COMMITS = Metric("crosscam_commits_total", "counter", "commits", "Commits made.")
RECORDS = Metric("crosscam_records_total", "counter", "records", "Records committed, by topic.", ("topic",))
DEAD_LETTERS = Metric(
    "crosscam_dead_letters_total", "counter", "records", "Input that could not be processed, by reason.", ("reason",)
)
CORRECTIONS = Metric(
    "crosscam_corrections_total", "counter", "corrections", "Identities merged, split or retracted.", ("kind",)
)
IDENTITIES_ALIVE = Metric(
    "crosscam_identities_alive", "gauge", "identities", "Identities that are open: not closed, merged or retracted."
)
FUSE_SECONDS = Metric(
    "crosscam_fuse_seconds", "histogram", "seconds", "Time that fusion computes for a commit.", buckets=_SHORT
)
COMMIT_SECONDS = Metric(
    "crosscam_commit_seconds",
    "histogram",
    "seconds",
    "Time that the ledger takes for a commit, waiting for it included.",
    buckets=_SHORT,
)
LATENCY_SECONDS = Metric(
    "crosscam_latency_seconds",
    "histogram",
    "seconds",
    "From the capture of a tracklet's last frame by a live camera to its commit; a sample of at most 64 a commit.",
    buckets=_LONG,
)
LEDGER_WAITING = Metric(
    "crosscam_ledger_waiting", "gauge", "yes or no", "1 while a commit waits for a ledger that does not answer."
)
READY = Metric("crosscam_ready", "gauge", "yes or no", "1 while the site commits and every camera has its worker.")

ALL: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
