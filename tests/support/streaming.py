"""A real RTSP server in a process of its own, which can be killed, stopped and started again."""

from __future__ import annotations

import subprocess
from pathlib import Path

# GStreamer's bindings are the system's; a virtual environment does not have them.
SYSTEM_PYTHON = Path("/usr/bin/python3")
NEEDS = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good"


def needed() -> str | None:
    """What is missing for a server, as a sentence; None if nothing is."""
    asked = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
    asked += "Gst.init(None); assert Gst.ElementFactory.find('qtdemux') and Gst.ElementFactory.find('rtph264pay')"
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", asked], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return f"needs GStreamer's RTSP server: apt-get install {NEEDS}"
    return None


class Server:
    """GStreamer's RTSP server with a clip at /live.

    Args:
        clip: H.264 without B frames, in MP4.
        user: name and password that it wants to have; nobody is asked if not given.

    Attributes:
        port: the same after every start.
        process: the present one.
    """

    def __init__(self, clip: Path, *user: str) -> None:
        self._clip, self._user = clip, user
        self.port = 0
        self.start()

    def start(self, *, damaged: bool = False) -> None:
        """Start it; with `damaged` half of the bytes of every fifth picture are wrong."""
        command = [SYSTEM_PYTHON, Path(__file__).with_name("rtsp_server.py"), self._clip, str(self.port)]
        command += ["--damaged"] * damaged + [*self._user]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
