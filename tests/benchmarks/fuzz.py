"""Spoilt input for everything that reads what others wrote: is it always taken, or refused by a sentence of ours?

    python tests/benchmarks/fuzz.py [--inputs 3000] [--surface config] [--seed 0]

Sites' files, files of detections (JSONL, MOT text, CSV, Parquet), records, positions and state in Kafka, and the state
of a ledger (tests/fuzz/surfaces.py), made by Hypothesis out of what is right; and requests to the HTTP API, made by
Schemathesis out of its own description, right and wrong ones, where any answer from 500 on is a finding, too.

Prints JSON: inputs by surface, what became of them, and each finding with an input that shows it; 1 where there is
one. A run that is interrupted tells of what it has done.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "fuzz"), str(TESTS / "pipeline")]

from http_surface import Api  # noqa: E402
from small_site import make_site  # noqa: E402
from surfaces import outcome, surfaces  # noqa: E402

from pipeline.cli.signals import install_sigterm  # noqa: E402


def fuzz(inputs: Any, take: Callable[[Any], str], count: int, number: int) -> dict[str, Any]:
    """Try so many inputs; what became of them."""
    seen: Counter[str] = Counter()
    findings: dict[str, str] = {}

    @seed(number)
    @given(inputs)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    def one(value: Any) -> None:
        try:
            seen[take(value)] += 1
        except Exception as error:
            seen["FINDING"] += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno} ({error})"[:300]
            findings.setdefault(where, repr(value)[:600])

    began = time.process_time()
    one()
    return {
        "inputs": seen.total(),
        "outcomes": dict(seen.most_common()),
        "cpu_s": round(time.process_time() - began, 1),
        "findings": findings,
    }


def tell(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Say on stderr how far it is."""
    print(name, found["inputs"], found["outcomes"], file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=3000, help="for each surface, and each operation of the API")
    parser.add_argument("--surface", action="append", help="only this one; may be repeated; http is one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    install_sigterm()
    results: dict[str, dict[str, Any]] = {}
    try:
        for name, surface in surfaces().items():
            if options.surface is None or name in options.surface:
                take = partial(outcome, surface)
                results[name] = tell(name, fuzz(surface.inputs, take, options.inputs, options.seed))
        if options.surface is None or "http" in options.surface:
            each = max(options.inputs // 10, 8)
            with tempfile.TemporaryDirectory() as folder, Api(make_site(Path(folder)), Path(folder)) as api:
                for name, requests in api.operations().items():
                    results[f"http {name}"] = tell(name, fuzz(requests, api.outcome, each, options.seed))
    except KeyboardInterrupt:
        print("interrupted: what was done until then", file=sys.stderr)
    findings = {name: found["findings"] for name, found in results.items() if found["findings"]}
    told = {
        "inputs": sum(found["inputs"] for found in results.values()),
        "cpu_s": round(sum(found["cpu_s"] for found in results.values()), 1),
        "findings": findings,
        "surfaces": {name: {key: found[key] for key in ("inputs", "outcomes")} for name, found in results.items()},
    }
    print(json.dumps(told, indent=1))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
