"""Sites that run without their driver.

Where the site's file names no cluster, `detach` starts `crosscam run` in a session of its own: a driver that outlives
the command, with a Ray in place that ends with it. On a cluster a `SiteActor` takes the driver's place, a detached
actor under the site's name: Ray brings it back on another node where its own is lost, and it the site, from the ledger.

`ask` finds either: through the door of a driver on this machine, or the actor on the site's cluster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.experimental import internal_kv

from operators.records import CrosscamError
from pipeline import logs, running
from pipeline.address import Place
from pipeline.cluster import NAMESPACE, LaunchError, connect
from pipeline.config import Ledger, Site, Sqlite
from pipeline.launch import POLL_S, Supervisor, already_runs

_ANSWER_S = 60.0
_CHANGED = b"crosscam-site:"  # what a site was changed to, by its name, in the cluster's own store


class SiteActor:
    """A Supervisor as a detached Ray actor, which ends itself with the site; one that failed stays to say why."""

    def __init__(self, site: Site) -> None:
        logs.configure(site)
        # Made anew by Ray it is made as it was first; what the site was changed to since is in the cluster's store.
        changed = internal_kv._internal_kv_get(_CHANGED + site.site.encode())
        self._site = Site.model_validate_json(changed) if changed else site
        self._supervisor = Supervisor(self._site)
        self._failed: str | None = None
        threading.Thread(target=self._run, name="supervisor", daemon=True).start()

    def ask(self, method: str, *arguments: Any) -> Any:
        """See `Supervisor.methods`."""
        if self._failed is not None and method == "status":
            return {"site": self._site.site, "state": "failed", "because": self._failed, "cameras": {}}
        if self._failed is not None and method == "stop":
            threading.Thread(target=self._end, daemon=True).start()
            return None
        return self._supervisor.methods[method](*arguments)

    def apply(self, site: Site) -> dict[str, list[str]]:
        """See `Supervisor.apply`."""
        changed = self._supervisor.apply(site)
        internal_kv._internal_kv_put(_CHANGED + site.site.encode(), site.model_dump_json().encode(), overwrite=True)
        return changed

    def _run(self) -> None:
        try:
            self._supervisor.run()
        except Exception as error:  # what it is must reach whoever asks
            self._failed = str(error)
            return
        self._end()

    def _end(self) -> None:
        internal_kv._internal_kv_del(_CHANGED + self._site.site.encode())
        time.sleep(POLL_S)  # for whoever has asked to have the answer
        ray.kill(ray.get_runtime_context().current_actor, no_restart=True)


def ask(place: Place, method: str, *arguments: Any) -> Any:
    """Have the run that writes this ledger do something; see `running.ask`.

    Raises:
        NotRunningError: none can be reached from here.
        CrosscamError: it could not do it.
    """
    try:
        return _at_the_door(place, method, *arguments)
    except running.NotRunningError:
        actor = None if place.site is None else _actor_of(place.site)
        if actor is None:
            raise
        return _called(actor.ask.remote(method, *arguments))


def _at_the_door(place: Place, method: str, *arguments: Any) -> Any:
    try:
        return running.ask(place, method, *arguments)
    except running.UnansweredError:
        if method != "status":
            raise
        # It was just ending: who only wants to know how it is asks again, and finds it gone.
        return running.ask(place, method, *arguments)


def apply(site: Site) -> dict[str, list[str]]:
    """Have the site's run go on as `site` says.

    Raises:
        NotRunningError: none can be reached from here.
        CrosscamError: it cannot be done; see `Supervisor.apply`.
    """
    assert site.file is not None
    actor = _actor_of(site)
    changed: dict[str, list[str]] = (
        running.ask(Place.of(site), "apply", str(site.file.resolve()))
        if actor is None
        else _called(actor.apply.remote(anchored(site)))
    )
    return changed


def anchored(site: Site) -> Site:
    """The site with its paths as they are from here: an actor runs elsewhere."""
    changes: dict[str, Any] = {"base": site.base.resolve()}
    if site.ledger.kafka is None:
        changes["ledger"] = Ledger(sqlite=Sqlite(path=site.ledger_path.resolve()), codec=site.ledger.codec)
    if site.snapshots is not None:
        changes["snapshots"] = site.snapshots.model_copy(update={"folder": site.snapshots.folder.resolve()})
    return site.model_copy(update=changes)


def detach(site: Site, file: Path) -> Callable[[], str | None]:
    """Start the site so that it goes on when this process ends.

    Returns:
        Says why it has ended; None while it has not.

    Raises:
        LaunchError: it runs already.
    """
    if site.ray_address is not None:
        return _on_the_cluster(site)
    log = running.note_of(Place.of(site)).with_name(f"{site.site}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        driver = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "run", str(file), "--log-format", site.log],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )
    began = log.stat().st_size

    def ended() -> str | None:
        if driver.poll() is None:
            return None
        said = log.read_bytes()[began:].decode(errors="replace").strip()
        return f"{said or 'it ended without a word'} (exit code {driver.returncode}; its log is {log})"

    return ended


def _on_the_cluster(site: Site) -> Callable[[], str | None]:
    connect(site, 0)
    old = _actor_of(site)
    if old is not None:
        if _called(old.ask.remote("status"))["state"] != "failed":
            raise LaunchError(already_runs(site.site))
        ray.kill(old, no_restart=True)
    name = _name(site)
    options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "num_cpus": 0, "max_concurrency": 8}
    try:
        actor = ray.remote(SiteActor).options(max_restarts=-1, **options).remote(anchored(site))
    except ValueError:
        raise LaunchError(already_runs(site.site)) from None

    def ended() -> str | None:
        try:
            status = _called(actor.ask.remote("status"))
        except running.NotRunningError:
            return "it has come to its end"
        return status["because"] if status["state"] == "failed" else None

    return ended


def _name(site: Site) -> str:
    return f"site-{site.site}"


def _actor_of(site: Site) -> Any:
    """The site's SiteActor; None where it has none."""
    if site.ray_address is None:
        return None
    connect(site, 0)
    try:
        return ray.get_actor(_name(site), namespace=NAMESPACE)
    except ValueError:
        return None


def _called(ref: Any) -> Any:
    try:
        return ray.get(ref, timeout=_ANSWER_S)
    except RayTaskError as error:
        if isinstance(error.cause, CrosscamError):
            raise error.cause from None
        raise LaunchError(f"the site's supervisor broke ({error.cause}); see Ray's logs") from None
    except RayError as error:
        raise running.NotRunningError(f"no run of this site answers on its cluster ({type(error).__name__})") from None


def wait_until_stopped(place: Place, pid: int | None, seconds: float, pause: Callable[[float], None]) -> bool:
    """Whether a run that was asked to stop has ended within that time."""
    for _ in range(round(seconds / POLL_S)):
        try:
            ask(place, "status")
        except running.NotRunningError:
            if pid is None or not _alive(pid):
                return True
        except CrosscamError:
            pass  # it is about to end
        pause(POLL_S)
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _defunct(pid)


def _defunct(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
