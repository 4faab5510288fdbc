"""The programs of deploy/cpp, built once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from alone import alone
from cpp_programs import paddle_of_the_wheel

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the programs are built in; kept, so that a second run builds only what has changed."""
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("needs cmake and g++")
    cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
    build = cache.mkdir("cpp") if cache else tmp_path_factory.mktemp("cpp")
    with alone(build):
        make(build)
    return build


def make(build: Path) -> None:
    """Build them, without a warning."""
    source = ROOT / "deploy" / "cpp"
    joined = ["-DCMAKE_UNITY_BUILD=ON", "-DCMAKE_UNITY_BUILD_BATCH_SIZE=0"]  # headers are read once
    configure = ["-S", source, "-B", build, *joined, *paddle_of_the_wheel()]
    if subprocess.run(["cmake", *configure], capture_output=True, check=False).returncode != 0:
        shutil.rmtree(build)  # of another place or time
        subprocess.run(["cmake", *configure], check=True)
    done = subprocess.run(["cmake", "--build", build, "--parallel", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr
