"""Where the files that come with crosscam lie: beside the code in a checkout, inside the package once installed."""

from __future__ import annotations

from pathlib import Path


def configs() -> Path:
    """The folder of the example sites and the demo's clip."""
    installed = Path(__file__).parent / "_configs"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "configs"
