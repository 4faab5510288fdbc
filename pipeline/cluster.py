"""The Ray that a site runs on: attach to it, or start one, and see whether there is room."""

from __future__ import annotations

import logging
import os
from typing import Any

import ray

from operators.records import CrosscamError
from pipeline.config import Site

NAMESPACE = "crosscam"


class LaunchError(CrosscamError):
    """The site cannot be run on this Ray."""


def connect(site: Site, workers: int) -> bool:
    """Attach to the site's cluster, or start a Ray of its own; true if one was started.

    Raises:
        LaunchError: the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    if site.ray_address is None:
        # One logical CPU a worker: on a small machine workers share the cores rather than wait for ever.
        cpus = max(os.cpu_count() or 1, workers * site.resources.threads)
        options |= {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": 200_000_000}
        options["address"] = "local"
    else:
        options["address"] = site.ray_address
    try:
        ray.init(**options)
    except Exception as error:  # what did not come up in time is a bare Exception to Ray
        if site.ray_address is None:
            raise LaunchError(
                f"Ray does not start on this machine ({error}); run it again once it is less busy or has more memory"
            ) from None
        raise LaunchError(
            f"Ray on {site.ray_address} does not answer ({error}); check ray_address, or leave it out"
        ) from None
    return site.ray_address is None


def check_room(site: Site, workers: int) -> None:
    """Find out before launching what would otherwise wait for ever.

    Raises:
        LaunchError: the cluster has not enough CPUs or GPUs for the site's workers.
    """
    there = ray.cluster_resources()
    for kind, each in (("CPU", float(site.resources.threads)), ("GPU", site.resources.gpus_per_worker)):
        if workers * each > there.get(kind, 0.0):
            raise LaunchError(
                f"site {site.site!r} needs {workers * each:g} {kind}s for {workers} workers, Ray has "
                f"{there.get(kind, 0.0):g}; add nodes, raise cameras_per_worker, or lower threads or gpus_per_worker"
            )
