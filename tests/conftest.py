"""For all tests: one Kafka, a Ray in this process, and no silent skips in CI."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

from alone import alone

# Under nohup, or as a script's background job, these are ignored, and whatever the tests start would ignore them, too.
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# The processes of pytest-xdist have a terminal of 80 columns, to which all that a test prints would be cut.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)

# The default run tries the same examples everywhere, so that a red run means a change broke something. Search for new
# ones with HYPOTHESIS_PROFILE=explore; what it finds becomes an @example.
settings.register_profile("default-run", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default-run"))

# Skips that CI accepts: data that is not part of the project, hardware and rights that CI may not have, and a Python
# that was built another way.
ACCEPTED = (
    "shared/",
    "GPU",
    "is not published for this Python",
    "root may",
    "right to mount",
    "built as a shared library",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """With CROSSCAM_REQUIRE_ALL set (CI does), a test that skips for want of something installable fails."""
    report = yield
    if os.environ.get("CROSSCAM_REQUIRE_ALL") and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo else ""
        if not any(accepted in reason for accepted in ACCEPTED):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} may not skip here: {reason}"
    return report


def load_server_module() -> ModuleType:
    """deploy/kafka/server.py: a script beside the packages, not in one."""
    path = Path(__file__).resolve().parents[1] / "deploy" / "kafka" / "server.py"
    spec = importlib.util.spec_from_file_location("deploy_kafka_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def make_certificate(folder: Path) -> Path | None:
    """A private key and a certificate for this machine, made by itself: `tls.pem`, and `ca.pem` without the key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    key, certificate, both = folder / "key.pem", folder / "ca.pem", folder / "tls.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(key.read_text() + certificate.read_text())
    return both


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of our own, which tests may stop, kill and start again."""
    if os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        pytest.skip("needs a Kafka server that may be stopped; unset KAFKA_BOOTSTRAP_SERVERS")
    module = load_server_module()
    if shutil.which("java") is None:
        pytest.skip("needs Java 17 or newer, or KAFKA_BOOTSTRAP_SERVERS")
    try:
        with alone(module.cache_folder()):
            jars = module.fetch()
    except module.ServerError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("kafka")
    server = module.KafkaServer(
        folder,
        users={"operator": "open-sesame-42", "guest": "may-nothing-7"},
        tls=make_certificate(folder),
        detour=module.free_port(),
        extra={
            # Looks for transactions that have timed out twice a second instead of every ten.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
            # Who is not named here, as the guest, may do nothing.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:operator",
        },
        jars=jars,
    )
    with server:
        yield server


@pytest.fixture(scope="session")
def kafka_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings that reach a Kafka cluster: KAFKA_BOOTSTRAP_SERVERS, or a server of our own."""
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return {"bootstrap_servers": servers or request.getfixturevalue("kafka_server").bootstrap}


@pytest.fixture(scope="module")
def ray_in_place() -> Iterator[None]:
    """A Ray that ends with the module's tests, as `crosscam run` starts one; it tells its metrics often."""
    import ray

    from pipeline.cluster import NAMESPACE

    ray.init(
        address="local", num_cpus=4, namespace=NAMESPACE, include_dashboard=False, log_to_driver=False,
        object_store_memory=200_000_000, _system_config={"metrics_report_interval_ms": 300},
    )  # fmt: skip
    yield
    ray.shutdown()
