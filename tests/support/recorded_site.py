"""A site of recorded boxes, whose ledger is the same to the byte however often it is run, and what its ledger holds."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import numpy as np

from mtmct.records import TOPICS
from pipeline.assembly import build_reader, build_service, build_shard
from pipeline.config import Site
from pipeline.testing import LocalFusion, LocalLink

FPS = 10
# A topic's records in order: key and value.
Contents = dict[str, list[tuple[bytes, bytes]]]


def write_walkers(path: Path, seed: int, seconds: int, people: int = 3) -> None:
    """Some people who walk to and fro, with noise and misses, as MOT text at `FPS` frames a second."""
    random = np.random.default_rng(seed)
    rows = []
    for frame in range(1, seconds * FPS + 1):
        for person in range(people):
            if random.random() < 0.05:
                continue
            x = 300 + 250 * np.sin(frame / 90 + 2 * person) + random.normal(0, 1)
            y = 120 + 90 * person + random.normal(0, 1)
            rows.append(f"{frame},-1,{x:.2f},{y:.2f},40,100,{random.uniform(0.65, 0.95):.3f}")
    path.write_text("\n".join(rows) + "\n")


def contents(site: Site) -> Contents:
    """Every record of the site's ledger, without the site's name: that of another site is to be the same."""
    mine = site.site.encode()
    with contextlib.closing(build_reader(site)) as reader:
        return {
            topic: [(r.key.encode().replace(mine, b"site"), r.raw.replace(mine, b"site")) for r in reader.read(topic)]
            for topic in TOPICS
        }


def undisturbed(site: Site, patience_s: float = 300.0) -> Contents:
    """What is to be written: the site run in this process, a shard for each camera, without Ray and without a fault."""
    with contextlib.closing(LocalFusion(lambda: build_service(site))) as fusion:
        shards = [build_shard(site, (camera.id,), LocalLink(fusion)) for camera in site.cameras]
        threads = [threading.Thread(target=shard.run) for shard in shards]
        for thread in threads:
            thread.start()
        fusion.call(lambda service: service.finished()).result(patience_s)
        for thread in threads:
            thread.join()
    return contents(site)


def sqlite(path: Path) -> str:
    """A ledger in a file, as it stands in a site's YAML."""
    return f"{{sqlite: {{path: '{path}'}}}}"


def parent_of(pid: int) -> int:
    """Process id of its parent: of an actor, the raylet."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
