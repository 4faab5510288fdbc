"""Every metric of the service, told at its own `/metrics`: the requests, and what the ledger says of the site.

All carry `site`, besides the tags named here. What the site's actors measure stands in `pipeline.metrics.catalogue`.
"""

from __future__ import annotations

from functools import partial

from pipeline.metrics.catalogue import Metric

# Seconds: from an answer out of memory to a picture that is read and drawn.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_Own = partial(Metric, by_ray=False)

# --- the service ----------------------------------------------------------------------------------------------------

READY = _Own("crosscam_serve_ready", "gauge", "yes or no", "1 while the ledger is read on.")
RECORDS = _Own("crosscam_serve_records_total", "counter", "records", "Records read of the ledger.")
REQUESTS = _Own("crosscam_serve_requests_total", "counter", "requests", "Answered requests.", ("status",))
REQUEST_SECONDS = _Own(
    "crosscam_serve_request_seconds", "histogram", "seconds", "Time to the head of an answer.", buckets=_BOUNDS
)
WATCHERS = _Own("crosscam_serve_watchers", "gauge", "WebSockets", "WebSockets that are open on /v1/live.")

# --- what the ledger says of the site -------------------------------------------------------------------------------

NEWEST = _Own("crosscam_serve_newest_seconds", "gauge", "seconds", "Newest event time that was read.")
IDENTITIES = _Own(
    "crosscam_serve_identities", "gauge", "identities", "Identities, by what has become of them.", ("state",)
)
BEHIND = _Own("crosscam_serve_camera_behind_seconds", "gauge", "seconds", "Event time behind the newest.", ("camera",))
IN_VIEW = _Own("crosscam_serve_camera_in_view", "gauge", "tracks", "Tracks in view.", ("camera",))
OPEN_INCIDENTS = _Own(
    "crosscam_serve_camera_open_incidents", "gauge", "incidents", "Incidents that are going on.", ("camera",)
)
REJECTED = _Own("crosscam_serve_camera_rejected_total", "counter", "records", "Dead letters.", ("camera",))
CROSSINGS = _Own(
    "crosscam_serve_line_crossings_total",
    "counter",
    "crossings",
    "Crossings, by line and direction.",
    ("camera", "line", "direction"),
)
INSIDE = _Own("crosscam_serve_zone_inside", "gauge", "tracks", "Tracks inside, by zone.", ("camera", "zone"))
FRAMES = _Own(
    "crosscam_serve_frames_total",
    "counter",
    "frames",
    "Frames decoded, tracked, and dropped by reason.",
    ("camera", "what", "reason"),
)
FRAME_RATE = _Own(
    "crosscam_serve_frames_per_second", "gauge", "frames", "Frames tracked a second, of a running site.", ("camera",)
)

SERVED: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
