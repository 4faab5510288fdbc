"""Event time for people to read."""

from __future__ import annotations

from datetime import UTC, datetime

from operators.records import SECOND_NS

_YEAR_NS = 365 * 24 * 3600 * SECOND_NS


def clock_text(time_ns: int | None, *, tenths: bool = False) -> str:
    """`2009-06-11 12:00:31` in UTC; `00:01:19` where a recording counts from nought instead of from 1970.

    `tenths` adds a digit. An unknown time, None, is a question mark.
    """
    if time_ns is None:
        return "?"
    seconds, rest = divmod(time_ns, SECOND_NS)
    fraction = f".{rest * 10 // SECOND_NS}" if tenths else ""
    if 0 <= time_ns < _YEAR_NS:
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}{fraction}"
