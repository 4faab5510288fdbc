"""A writer to be killed: goes on from its state, makes commits up to a number, prints each one's number.

python commit_loop.py KIND SITE PLACE_AS_JSON COMMITS [SECONDS_BETWEEN]
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.ledger.base import Encoded, LedgerWriter


def records_of(n: int) -> list[Encoded]:
    """What commit number `n` writes: it depends on `n` only."""
    time_ns = 1_700_000_000_000_000_000 + n * 1_000_000_007
    records = [Encoded("tracks", f"plaza-{(n + i) % 7:06}", b'{"n":%d,"i":%d}' % (n, i), time_ns + i) for i in range(3)]
    records.append(Encoded("events", "north", b'{"n":%d,"text":"%s"}' % (n, b"x" * (n % 50)), time_ns))
    if n % 3 == 0:
        records.append(Encoded("identities", f"plaza-{n % 7:06}", b'{"n":%d}' % n, time_ns))
    return records


def state_of(n: int) -> dict[str, bytes | None]:
    """The state that changes with commit number `n`."""
    return {"next": b"%d" % (n + 1), f"worker/{n % 4}": bytes([n % 256]) * 2000, "odd": b"yes" if n % 2 else None}


def writer_of(kind: str, site: str, where: Any) -> LedgerWriter:
    """The writer of that kind; the other one is not even imported, to start sooner."""
    if kind == "sqlite":
        from pipeline.ledger.sqlite import SqliteWriter

        return SqliteWriter(Path(where), site)
    from pipeline.ledger.kafka import KafkaWriter

    return KafkaWriter(site, where)


def main() -> None:
    """Run the loop."""
    kind, site, place, commits, *pause = sys.argv[1:]
    writer = writer_of(kind, site, json.loads(place))
    start = int(writer.open().get("next", b"0"))
    print("open", flush=True)
    for n in range(start, int(commits)):
        writer.commit(records_of(n), state_of(n))
        print(n, flush=True)
        time.sleep(float(pause[0]) if pause else 0)
    writer.close()


if __name__ == "__main__":
    main()
