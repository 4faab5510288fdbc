"""Ray Serve: started, given an application, and ended."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayError
from rich.console import Console

from operators.records import CrosscamError
from pipeline.serve.models import APP, Served, application


def serve_models(
    served: Sequence[Served],
    host: str,
    port: int,
    console: Console,
    *,
    token: str | None = None,
    local: bool = True,
    ray_address: str | None = None,
    until: threading.Event | None = None,
) -> None:
    """Serve models until interrupted.

    Args:
        served: the models.
        host, port: of the address.
        console: told where they are.
        token, local: see `Guard`.
        ray_address: the cluster; a Ray of its own on this machine if None.
        until: ends it as well.

    Raises:
        CrosscamError: Ray does not answer, or a model cannot be served.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    threads = sum(one.threads * one.most for one in served)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "crosscam"}
    if ray_address is None:
        cpus = max(os.cpu_count() or 1, threads + 1)
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    else:
        options["address"] = ray_address
    try:
        ray.init(**options)
        serve.start(http_options={"host": host, "port": port}, logging_config={"log_level": "WARNING"})
        serve.run(application(served, token=token, local=local), name=APP, route_prefix="/")
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        _end()
        raise CrosscamError(f"the models cannot be served ({_first_line(error)}); look at Ray's logs") from None
    except BaseException:
        _end()
        raise
    try:
        for one in served:
            console.print(f"http://{host}:{port}/v1/models/{one.name}:predict", markup=False)
        (until or threading.Event()).wait()
    finally:
        _end()


def _end() -> None:
    if ray.is_initialized():
        serve.shutdown()
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
