"""Tracking of one camera's detections: every strategy on one compiled core.

`create("bytetrack", rate_hz=25.0)` makes a tracker; `names()` lists them; `package.module:Class` names a user's own.
"""

from operators.track.base import Tracker
from operators.track.errors import TrackerError
from operators.track.registry import DEFAULT, create, find, names, parameters_of

__all__ = ["DEFAULT", "Tracker", "TrackerError", "create", "find", "names", "parameters_of"]
