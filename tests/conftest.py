"""For all tests: one Kafka, and no silent skips in CI."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

# Skips that CI accepts: data that is not part of the project, hardware and rights that CI may not have.
ACCEPTED = ("shared/", "GPU", "root may", "right to mount")


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
