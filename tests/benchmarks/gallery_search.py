"""The gallery's two kinds: time to file and to search, and how often the right identity is in the shortlist.

python tests/benchmarks/gallery_search.py [--vectors 60000] [--shards 3] [--people 8000] [--noise 0.8]

Looks are Gaussian, without the structure that real embeddings have: the hardest case for cells.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from mtmct.gallery import Gallery

DIM, SHORTLIST, QUERIES = 128, 32, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=60_000)
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--people", type=int, default=8000)
    parser.add_argument("--noise", type=float, default=0.8, help="of a look, as a part of what tells people apart")
    options = parser.parse_args()
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
