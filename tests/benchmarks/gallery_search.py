"""The gallery's two kinds: time to file and to search, and how often the right identity is in the shortlist.

python tests/benchmarks/gallery_search.py [--vectors 60000] [--shards 3] [--people 8000] [--noise 0.8]

Looks are Gaussian, without the structure that real embeddings have: the hardest case for cells.

What ten times the gallery costs a commit: python tests/benchmarks/gallery_search.py --known 2000 [--cameras 100]

A row of cameras with six people in view of each, fused by two engines in turns: one knows so many people from before,
the other ten times as many, all of whom can be found again. CPU time of their commits, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from fusion_load import BEFORE_S, known
from fusion_speed import batch, row_of_cameras

from mtmct.fusion import FusionEngine
from mtmct.gallery import Gallery
from mtmct.settings import FusionSettings
from mtmct.topology import Topology
from operators.records import SECOND_NS
from pipeline.actors import collect_rarely

DIM, SHORTLIST, QUERIES = 128, 32, 1000


def tenfold(count: int, cameras: int, seconds: int, kind: str) -> dict[str, object]:
    """Commits beside `count` people known and beside ten times as many."""
    collect_rarely()
    topology = Topology(row_of_cameras(cameras, 4.0))
    settings = FusionSettings(max_gap_s=3600.0, gallery=kind)
    engines = [FusionEngine("row", topology, settings) for _ in range(2)]
    for engine, people in zip(engines, (count, 10 * count), strict=True):
        for watermark, batches in known(people, DIM):
            engine.advance(batches, watermark)
    looks = np.random.default_rng(0).normal(size=(100_000, DIM)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    spent: list[list[float]] = [[], []]
    for second in range(BEFORE_S, BEFORE_S + seconds):
        made = [batch(camera, second, 6, 4.0, looks) for camera in range(cameras)]
        for engine, times in zip(engines, spent, strict=True):
            begun = time.process_time()
            engine.advance(made, (second + 1) * SECOND_NS)
            times.append(1e3 * (time.process_time() - begun))
    steady = np.array(spent)[:, seconds // 3 :]
    one, ten = ({f"p{q}_ms": round(float(np.percentile(row, q)), 1) for q in (50, 95, 99)} for row in steady)
    ratio = float(np.median(steady[1]) / np.median(steady[0]))
    return {"known": count, "cameras": cameras, "one": one, "ten": ten, "ratio": round(ratio, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=60_000)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--people", type=int, default=8000)
    parser.add_argument("--noise", type=float, default=0.8, help="of a look, as a part of what tells people apart")
    parser.add_argument("--known", type=int, default=0, help="people known before, of a whole commit")
    parser.add_argument("--cameras", type=int, default=100, help="of a whole commit")
    parser.add_argument("--seconds", type=int, default=24, help="commits, a third of which is not timed")
    options = parser.parse_args()
    if options.known:
        for kind in ("flat", "ivf"):
            print(json.dumps({"kind": kind, **tenfold(options.known, options.cameras, options.seconds, kind)}))
        return
    dice = np.random.default_rng(0)
    people = dice.normal(size=(options.people, DIM))
    owners = dice.integers(0, options.people, options.vectors + QUERIES)
    looks = people[owners] + options.noise * dice.normal(size=(len(owners), DIM))
    looks = (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32)
    right, queries = owners[:QUERIES, None], looks[:QUERIES]
    owners, looks = owners[QUERIES:], looks[QUERIES:]
    result: dict[str, object] = dict(vars(options))
    for kind in ("flat", "ivf"):
        gallery = Gallery(10, 10**6, kind)
        begun = time.process_time()
        for shard, rows in enumerate(np.array_split(np.arange(options.vectors), options.shards)):
            gallery.add(shard, owners[rows], looks[rows])
        gallery.add(options.shards, owners[:1], looks[:1])
        filed = time.process_time()
        found, _ = gallery.search(queries, SHORTLIST)
        result[kind] = {
            "file_ms": round(1e3 * (filed - begun), 1),
            "search_ms": round(1e3 * (time.process_time() - filed), 1),
            "right_in_shortlist": round(float((found == right).any(axis=1).mean()), 4),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
