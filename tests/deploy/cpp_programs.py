"""deploy/cpp: what it takes to build its programs, and to run one."""

from __future__ import annotations

import importlib.util
import subprocess
import sysconfig
from pathlib import Path


def has_opencv() -> bool:
    return any(Path(folder, "opencv2", "videoio.hpp").is_file() for folder in ("/usr/include/opencv4", "/usr/include"))


def shared_python() -> Path | None:
    """This Python as a library that a program can be linked to, if it was built as one."""
    library = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME") or "none")
    return library if ".so" in library.name and library.is_file() else None


def paddle_of_the_wheel() -> list[str]:
    """What CMake is told to build the program that needs Paddle and OpenCV, or not to where one is missing."""
    python = shared_python()
    found = importlib.util.find_spec("paddle")
    if not has_opencv() or python is None or found is None or found.origin is None:
        return [f"-D{name}=" for name in ("PADDLE_INCLUDE", "PADDLE_LIBRARIES", "CMAKE_BUILD_RPATH")]
    wheel = Path(found.origin).parent
    libraries = [wheel / "base" / "libpaddle.so", python]  # the wheel's library is one of Python's
    folders = [wheel / "base", wheel / "libs", python.parent]
    return [
        f"-DPADDLE_INCLUDE={Path(__file__).parent / 'paddle_wheel'}",
        f"-DPADDLE_LIBRARIES={';'.join(map(str, libraries))}",
        f"-DCMAKE_BUILD_RPATH={';'.join(map(str, folders))}",
    ]


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
