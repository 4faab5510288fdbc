"""Ray Serve: started, given an application, and ended."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import ray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ray import serve
from rich.console import Console

from operators.draw import Privacy
from operators.records import CrosscamError
from pipeline.durations import Seconds
from pipeline.serve.app import Options
from pipeline.serve.guard import check_bind
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
    cpus = sum(one.threads * one.most for one in served)
    where = [f"http://{host}:{port}/v1/models/{one.name}:predict" for one in served]
    app = application(served, token=token, local=local)
    _run(APP, app, host, port, lambda: console.print("\n".join(where), markup=False), cpus, ray_address, until)


def serve_site(
    ledger: str,
    options: Options,
    host: str,
    port: int,
    console: Console,
    *,
    ray_address: str | None = None,
    until: threading.Event | None = None,
) -> None:
    """Serve a site as a Ray Serve application of one replica: what it knows is in its memory.

    Args:
        ledger: its name, as `find` takes it; an SQLite file has to be on the replica's node.
        options: how.
        host, port, console, ray_address, until: see `serve_models`.

    Raises:
        CrosscamError: Ray does not answer, or the site cannot be served.
    """

    site = _application(ledger, options)
    said = f"http://{host}:{port}  (the API: /v1/docs; Ctrl-C ends it)"
    _run("site", site, host, port, lambda: console.print(said, markup=False), 1, ray_address, until)


class SiteArguments(BaseModel):
    """What a Serve file says of a site.

    Attributes:
        ledger: the site's YAML file, or kafka://HOST:PORT/SITE.
        page: with the page for people.
        keep: what ended so long before the newest is forgotten, e.g. `24h`; all is kept if not given.
        blur: what is made unrecognisable of everyone tracked.
    """

    model_config = ConfigDict(extra="forbid")

    ledger: str
    page: bool = True
    keep: Annotated[Seconds, Field(gt=0)] | None = None
    blur: Privacy = Privacy.NONE


def site_application(arguments: dict[str, Any]) -> Any:
    """A site for a Serve file, as `import_path: pipeline.serve.on_ray:site_application`; deploy/kuberay has one.

    A cluster's proxies answer whoever reaches them: the secret of CROSSCAM_TOKEN is asked from everybody.

    Args:
        arguments: `args` of the file; see `SiteArguments`.

    Raises:
        CrosscamError: there is no token, or an argument is wrong.
    """
    try:
        asked = SiteArguments.model_validate(arguments)
    except ValidationError as error:
        first = error.errors()[0]
        raise CrosscamError(f"args of the Serve file: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    token = os.environ.get("CROSSCAM_TOKEN") or None
    check_bind("0.0.0.0", token)
    options = Options(token=token, local=False, keep_s=asked.keep, privacy=asked.blur, page=asked.page)
    return _application(asked.ledger, options)


def _application(ledger: str, options: Options) -> Any:
    def build() -> Any:
        from pipeline.address import find
        from pipeline.serve.app import create_app

        return create_app(find(ledger), options)

    site = serve.deployment(
        serve.ingress(build)(), name="site", ray_actor_options={"num_cpus": 0}, max_ongoing_requests=1000
    )
    return site.bind()


def _run(
    name: str,
    app: Any,
    host: str,
    port: int,
    ready: Callable[[], None],
    cpus: int,
    ray_address: str | None,
    until: threading.Event | None,
) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "crosscam"}
    if ray_address is None:
        here = max(os.cpu_count() or 1, cpus + 1)
        options |= {"address": "local", "num_cpus": here, "include_dashboard": False}
    else:
        options["address"] = ray_address
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        ray.init(**options)
        serve.start(http_options={"host": host, "port": port}, logging_config={"log_level": "WARNING"})
        serve.run(app, name=name, route_prefix="/")
        ready()
        (until or threading.Event()).wait()
    except CrosscamError:
        raise
    except Exception as error:  # what did not come up in time is a bare Exception to Ray
        raise CrosscamError(f"this cannot be served on Ray ({_first_line(error)}); look at Ray's logs") from None
    finally:
        _end()


def _end() -> None:
    if ray.is_initialized():
        serve.shutdown()
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
