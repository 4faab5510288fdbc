"""What is compiled beforehand is all that a site needs: minutes of a core, so only with -m faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import COMMAND

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


def test_a_site_compiles_nothing_that_has_not_been_compiled_beforehand(tmp_path: Path) -> None:
    kept = tmp_path / "compiled"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(kept)}
    command = [sys.executable, "-m", "pipeline.precompile"]
    subprocess.run(command, env=environment, check=True, cwd=Path(__file__).parents[2])

    def compiled() -> dict[str, int]:
        return {str(file.relative_to(kept)): file.stat().st_mtime_ns for file in kept.rglob("*.nb?")}

    before = compiled()
    assert len(before) > 50
    cameras = ""
    for n in (1, 2, 3):
        settings = f"people=30,cameras=3,seconds=40,camera={n}" + (",picture=1" if n == 3 else "")
        cameras += (
            f"  - {{id: c{n}, source: 'simulated:{settings}', fps: 5,\n"
            f"     homography: [[0.01, 0, {3 * n}], [0, 0.01, 0], [0, 0, 1]],\n"
            "     lines: {door: [[300, 0], [300, 500]]},\n"
            "     zones: {till: {points: [[200, 100], [400, 100], [400, 300]], restricted: true}}}\n"
        )
    (tmp_path / "plaza.yaml").write_text(f"site: plaza\ncameras:\n{cameras}")
    subprocess.run([*COMMAND, "run", "plaza.yaml"], env=environment, check=True, cwd=tmp_path, capture_output=True)
    assert {name: at for name, at in compiled().items() if before.get(name) != at} == {}
