"""The errors of tracking."""

from operators.records import CrosscamError


class TrackerError(CrosscamError):
    """A tracker is asked for that does not exist, with parameters that it does not have, or given wrong arrays."""
