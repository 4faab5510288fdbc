#!/usr/bin/env python3
"""Apache Kafka itself on one machine: fetched once, started in a few seconds, gone without a trace.

For the tests that speak of Kafka and for trying things out; a site in earnest has a cluster of its own.
One node that is broker and controller at once (KRaft), bound to the loopback interface. Needs Java 17 or
newer, and Maven for the first fetch; of Python the standard library only.

    server.py fetch                            the jars of Kafka into the cache
    server.py start [--data DIR] [--port N]    fetches if need be, prints HOST:PORT once ready, Ctrl-C ends it
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

VERSION = "4.2.0"
HOST = "127.0.0.1"

# Kafka's own jar brings all it needs but a place to write its log to; slf4j-simple is the smallest.
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""

# Kafka asks for 16 bytes in URL-safe base64; which ones does not matter to a cluster of one.
_CLUSTER_ID = "Y3Jvc3NjYW0tb25lLW5vZA"

_READY = "Kafka Server started"


class ServerError(Exception):
    """What keeps the server from running, in one sentence."""


def cache_folder() -> Path:
    """Where the jars of this version live: $CROSSCAM_KAFKA, or a folder in the user's cache."""
    given = os.environ.get("CROSSCAM_KAFKA")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crosscam" / f"kafka-{VERSION}"


def fetch(folder: Path | None = None) -> Path:
    """Kafka's jars, through Maven unless they are already there.

    Args:
        folder: where they go; `cache_folder()` if None.

    Returns:
        The folder that holds them, whole or not at all.

    Raises:
        ServerError: Maven is missing or fails.
    """
    folder = folder or cache_folder()
    if (folder / f"kafka_2.13-{VERSION}.jar").is_file():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerError(
            f"Maven is needed once to fetch Apache Kafka {VERSION}: install it (Debian: apt-get install maven),"
            f" or copy the jars of Kafka's libs folder and slf4j-simple 1.7.36 to {folder}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as work:
        Path(work, "pom.xml").write_text(_POM)
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
        command = [maven, "-q", "-B", goal, "-DincludeScope=runtime", f"-DoutputDirectory={work}/jars"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True)
        if done.returncode != 0:
            raise ServerError(f"Maven could not fetch Apache Kafka {VERSION}: {_gist(done.stdout, 0)}")
        with contextlib.suppress(OSError):  # someone else was faster; their jars are as good
            Path(work, "jars").rename(folder)
    return folder


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _gist(output: str, which: int) -> str:
    """One line of a tool's output, first or last; stack traces, which are indented, do not count."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line[0].isspace()]
    return lines[which] if lines else "it said nothing"


def _end_with_parent() -> None:
    """In the child on Linux: end when the starting thread is gone, so that a crash leaves no server behind."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class KafkaServer:
    """One Kafka node of this process's own.

    Stopping, killing and starting again keep port and data, as a machine that comes back would.

    Args:
        data: folder for configuration, log files and topics; made if missing.
        port: where clients connect; 0 picks a free one.
        users: names and passwords; if given, a second listener at `secured` asks for them (SASL PLAIN).
        tls: a PEM file with a private key and its certificate; if given, and `users` too, a listener at `encrypted`
            asks for them over TLS (SASL_SSL).
        detour: a port of this machine; if given, a further listener at `behind_detour` sends its clients there, so
            that whatever listens on it can come between them and the server.
        extra: more of Kafka's own settings.
        jars: folder with Kafka's jars; fetched if None.
        heap: memory for the Java heap.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        users: Mapping[str, str] | None = None,
        tls: Path | None = None,
        detour: int | None = None,
        extra: Mapping[str, str] | None = None,
        jars: Path | None = None,
        heap: str = "512m",
    ) -> None:
        self.data = data.absolute()
        self._jars = jars
        self._heap = heap
        self._users = dict(users or {})
        self._tls = tls
        self.detour = detour
        self._extra = dict(extra or {})
        self._port = port or free_port()
        self._secured_port = free_port()
        self._encrypted_port = free_port()
        self._behind_detour_port = free_port()
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """HOST:PORT for clients."""
        return f"{HOST}:{self._port}"

    @property
    def secured(self) -> str:
        """HOST:PORT for clients that log in with a name and a password."""
        return f"{HOST}:{self._secured_port}"

    @property
    def encrypted(self) -> str:
        """HOST:PORT for clients that log in over TLS."""
        return f"{HOST}:{self._encrypted_port}"

    @property
    def behind_detour(self) -> str:
        """HOST:PORT for what listens on the detour's port."""
        return f"{HOST}:{self._behind_detour_port}"

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.data / "server.log"

    def start(self, timeout_s: float = 90.0) -> Self:
        """Start and wait until clients are served.

        Raises:
            ServerError: Java or Maven is missing, or the server ends or stays silent.
        """
        if self._process is not None:
            raise ServerError("this server is already running")
        self.data.mkdir(parents=True, exist_ok=True)
        settings = self.data / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        if not (self.data / "topics" / "meta.properties").exists():
            self._format(settings)
        with self.log.open("ab") as log:
            seen = log.tell()
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(settings)), stdout=log, stderr=log, preexec_fn=_end_with_parent
            )
        try:
            self._await_ready(seen, timeout_s)
        except BaseException:
            self.kill()
            raise
        return self

    def _await_ready(self, seen: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while _READY not in self._log_from(seen):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Kafka did not start: {_gist(self._log_from(seen), -1)} (all of it: {self.log})")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it in order; does nothing if it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a power cut of the process would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> Self:
        """Start again on the same data and port, after `stop`, `kill` or neither."""
        self.stop()
        return self.start()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """For the length of a `with` block it keeps its connections and answers nobody (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wait(self) -> int:
        """Block until the server ends by itself; its exit status."""
        assert self._process is not None
        return self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _log_from(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _format(self, settings: Path) -> None:
        command = self._java("kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(settings))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise ServerError(f"Kafka could not prepare {self.data}: {_gist(done.stderr or done.stdout, -1)}")

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = shutil.which("java")
        if java is None:
            raise ServerError(
                "Java 17 or newer is needed: install it (Debian: apt-get install openjdk-17-jre-headless)"
            )
        levels = ("defaultLogLevel=warn", "log.kafka.server.KafkaRaftServer=info", "showDateTime=true")
        return [
            java,
            f"-Xmx{self._heap}",
            "-XX:+UseSerialGC",  # the fewest threads and the quickest start
            "-XX:TieredStopAtLevel=1",
            *(f"-Dorg.slf4j.simpleLogger.{level}" for level in levels),
            "-cp",
            f"{self._jars or fetch()}/*",
            main,
            *arguments,
        ]

    def _settings(self) -> dict[str, str]:
        listeners = {"PLAINTEXT": self._port, "CONTROLLER": self._controller_port}
        protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
        more = self._extra
        if self._users:
            listeners["SECURED"] = self._secured_port
            protocols["SECURED"] = "SASL_PLAINTEXT"
            known = "".join(f' user_{name}="{password}"' for name, password in self._users.items())
            login = "org.apache.kafka.common.security.plain.PlainLoginModule"
            more = {
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.secured.plain.sasl.jaas.config": f"{login} required{known};",
                **more,
            }
            if self._tls is not None:
                listeners["ENCRYPTED"] = self._encrypted_port
                protocols["ENCRYPTED"] = "SASL_SSL"
                more = {
                    "listener.name.encrypted.plain.sasl.jaas.config": f"{login} required{known};",
                    "listener.name.encrypted.ssl.keystore.type": "PEM",
                    "listener.name.encrypted.ssl.keystore.location": str(self._tls.absolute()),
                    **more,
                }
        if self.detour is not None:
            listeners["DETOUR"] = self._behind_detour_port
            protocols["DETOUR"] = "PLAINTEXT"
        advertised = {name: port for name, port in listeners.items() if name != "CONTROLLER"}
        if self.detour is not None:
            advertised["DETOUR"] = self.detour
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "advertised.listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in advertised.items()),
            "listeners": ",".join(f"{name}://{HOST}:{port}" for name, port in listeners.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{how}" for name, how in protocols.items()),
            "log.dirs": str(self.data / "topics"),
            # Replication takes three machines; this is one.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            # After a kill the server waits until its former self counts as gone: 9 s unless told otherwise.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "log.cleaner.dedupe.buffer.size": "16777216",
            **more,
        }


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=f"Apache Kafka {VERSION} on this machine, one node.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="fetch Kafka's jars into the cache and print where they are")
    start = commands.add_parser("start", help="start a server, print HOST:PORT when it is ready; Ctrl-C ends it")
    start.add_argument("--data", type=Path, help="folder to keep topics in (default: a temporary one)")
    start.add_argument("--port", type=int, default=0, help="port for clients (default: a free one)")
    given = parser.parse_args(arguments)
    try:
        if given.command == "fetch":
            print(fetch())
            return 0
        with contextlib.ExitStack() as stack:
            data = given.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kafka-")))
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            server = stack.enter_context(KafkaServer(data, port=given.port))
            print(server.bootstrap, flush=True)
            return server.wait()
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
