"""`crosscam serve`: REST, live tracks and the page, over a running or a finished run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from operators.records import CrosscamError
from pipeline.cli.options import Blur, duration

console = Console(highlight=False, soft_wrap=True)

TOKEN = "CROSSCAM_TOKEN"


def serve_command(
    ledger: Annotated[
        str | None,
        typer.Argument(
            help="The site's YAML file (then there are pictures, too), or its ledger: file, folder, or "
            "kafka://HOST:PORT/SITE. The last run's if not given."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to bind; others than loopback need CROSSCAM_TOKEN.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8080,
    keep: Annotated[
        str | None, typer.Option(help="Forget what ended so long before the newest, e.g. 24h. All is kept otherwise.")
    ] = None,
    blur: Annotated[Blur, typer.Option(help="What is made unrecognisable of everyone tracked.")] = Blur.NONE,
    work: Annotated[Path, typer.Option(help="Folder of new analyses.")] = Path("analyses"),
    models: Annotated[Path, typer.Option(help="Where crosscam models pull has put models, for them.")] = Path("models"),
    page: Annotated[bool, typer.Option(help="--no-page: the API alone.")] = True,
    ray: Annotated[
        str | None, typer.Option(help="Serve it by Ray Serve on this cluster, `local` for a Ray of its own.")
    ] = None,
) -> None:
    """Serve a site: a page for people, and /v1 for programs (documented at /v1/docs)."""
    from operators.draw import Privacy
    from pipeline.address import LAST, find
    from pipeline.serve.app import Options, create_app
    from pipeline.serve.guard import check_bind, is_loopback

    token = os.environ.get(TOKEN) or None
    check_bind(host, token)
    options = Options(
        token=token,
        local=is_loopback(host),
        keep_s=None if keep is None else duration(keep),
        privacy=Privacy(blur.value),
        work=work.absolute(),
        models=models.absolute(),
        page=page,
    )
    place = find(ledger)
    place.reader().close()  # what is wrong with it is better said before anything is bound
    if ray is not None:
        from pipeline.serve.on_ray import serve_site

        name = ledger or LAST.read_text(encoding="utf-8").strip()
        if not name.startswith("kafka://"):
            name = str(Path(name).absolute())  # a replica may run in another folder
        serve_site(name, options, host, port, console, ray_address=None if ray == "local" else ray)
        return
    run_app(create_app(place, options), host, port)


@contextmanager
def beside(config: Path, port: int) -> Iterator[Callable[[], None]]:
    """Serve a site in a process of its own, so that whoever watches takes nothing from the run but its share of a core.

    Gives what waits for Ctrl-C, or for the service to end by itself.
    """
    command = [sys.executable, "-m", "pipeline.cli", "serve", str(config), "--port", str(port)]
    process = subprocess.Popen(command)

    def wait() -> None:
        with suppress(KeyboardInterrupt):
            process.wait()

    try:
        yield wait
    finally:
        process.terminate()
        process.wait()


def run_app(app: object, host: str, port: int) -> None:
    """Serve an ASGI application until it is interrupted.

    Raises:
        CrosscamError: the address cannot be bound.
    """
    import socket

    import uvicorn

    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise CrosscamError(
            f"{host}:{port} cannot be served on ({error.strerror}); choose another --port, or 0 for any that is free"
        ) from None
    shown = f"[{host}]" if ":" in host else host
    console.print(f"http://{shown}:{listening.getsockname()[1]}  (the API: /v1/docs; Ctrl-C ends it)", markup=False)
    # Compressing each frame anew for each of many watchers would take a core by itself.
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        timeout_graceful_shutdown=3,
        ws_max_size=65_536,
        ws_per_message_deflate=False,
    )
    uvicorn.Server(config).run([listening])
