"""The command line as its user types it, in a process of its own or in this one."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.cli import main

COMMAND = (sys.executable, "-c", "from pipeline.cli import main; main()")


def crosscam(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
    )


def called(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in this process, which has loaded already what a new one would load: for those that start no Ray."""
    out, errors = io.StringIO(), io.StringIO()
    code: Any = 0
    before = signal.getsignal(signal.SIGTERM), sys.argv
    sys.argv = ["crosscam", *words]
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        signal.signal(signal.SIGTERM, before[0])
        sys.argv = before[1]
    return subprocess.CompletedProcess(words, code, out.getvalue(), errors.getvalue())


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """The sentence that a failed command printed; never a traceback."""
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    return result.stderr.strip()
