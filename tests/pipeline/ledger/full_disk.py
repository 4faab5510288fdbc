"""Commits onto a disk that is too small, frees space at the first wait; prints what happened as JSON.

unshare -rm sh -c 'mount -t tmpfs -o size=2m none FOLDER && exec python full_disk.py FOLDER'
"""

import contextlib
import json
import sys
from pathlib import Path

from pipeline.ledger.base import Encoded, UnavailableError
from pipeline.ledger.sqlite import SqliteReader, SqliteWriter

RECORD = Encoded("tracks", "plaza-000001", b'{"n":1}', 1)


def main() -> None:
    """Fill the disk, commit, free it, commit."""
    folder = Path(sys.argv[1])
    ballast = folder / "ballast"
    said: list[str] = []

    def on_wait(sentence: str) -> None:
        said.append(sentence)
        ballast.unlink()

    writer = SqliteWriter(folder / "ledger", "plaza", on_wait=on_wait)
    writer.open()
    writer.commit([RECORD], {"a": b"1"})
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as fill:
        while True:
            fill.write(bytes(4096))
    writer.commit([RECORD], {"a": b"x" * 300_000})
    impatient = SqliteWriter(folder / "ledger", "plaza", patience_s=0.0)
    impatient.open()
    try:
        impatient.commit([RECORD], {"b": b"x" * 3_000_000})
    except UnavailableError as error:
        said.append(str(error))
    reader = SqliteReader(folder / "ledger", "plaza")
    sizes = {key: len(value) for key, value in reader.state().items()}
    print(json.dumps({"said": said, "records": len(list(reader.read("tracks"))), "state": sizes}))


if __name__ == "__main__":
    main()
