"""Does it matter how a site reaches fusion? Live or fast, shuffled, by one worker or four, bit by bit or all at once.

python tests/benchmarks/fusion_parity.py [--seconds 60] [--cameras 4] [--people 8]   # simulated, boxes given: 2 minutes
python tests/benchmarks/fusion_parity.py SITE.yaml --gt TRUTH                        # a site of recordings

Prints JSON: whether the ledger holds the same bytes as when the recordings are fused in order

- `live`: the batches sent `--speed` times as fast as recorded, each with a delay of its own, cameras being live;
- `shuffled`: in any order within a few seconds;
- `workers_1`, `workers_4`: by cameras that run in so many shards, each in a thread of its own.

Then multi-camera IDF1 online and given everything at once (within 0.02 of each other, `idf1_agree`), and for
`publish: decided` and `provisional`: seconds until the right identity, corrections, share of guesses.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.mot_text import find_ground_truth
from mtmct.records import IDENTITIES, TRACKS, CameraBatch, Record
from mtmct.site_evaluation import SiteEvaluation, evaluate_site
from operators.records import SECOND_NS
from pipeline.assembly import appearance_of, build_shard, build_topology
from pipeline.commit_order import CommitOrder
from pipeline.config import Site
from pipeline.config_file import load
from pipeline.config_fusion import Fusion
from pipeline.fusion_service import FusionService
from pipeline.fusion_settings import fusion_settings
from pipeline.ledger.base import Encoded
from pipeline.replay import fuse, record, steps
from pipeline.schema.codec import open_codec
from pipeline.simulate import write_site
from pipeline.site_results import results_of
from pipeline.sources.simulation.settings import parse_settings
from pipeline.testing import LocalFusion, LocalLink, MemoryLedger, MemoryWriter

AGREE = 2.0  # percent of IDF1
LATE_S = 3.0  # seconds by which a batch may come later than another of its time
PATIENCE_S = 60.0

Engine = Callable[[], FusionEngine]
Send = Callable[[LocalFusion], None]


def committed(site: Site, engine: Engine, send: Send, live: bool = False) -> list[Encoded]:
    """What the ledger holds once `send` has brought a service all batches, and it has finished."""
    ledger = MemoryLedger()
    fusion = LocalFusion(
        lambda: FusionService(
            order=CommitOrder(site.site, {camera.id: live for camera in site.cameras}, site.interval_ns, PATIENCE_S),
            engine=engine(),
            ledger=MemoryWriter(ledger),
            encode=open_codec().encode,
        )
    )
    try:
        send(fusion)
        fusion.call(lambda service: service.finished()).result(300)
    finally:
        fusion.close()
    return ledger.records


def in_order_of(batches: Sequence[CameraBatch], arrival: np.ndarray, speed: float = np.inf) -> Send:
    """Send each batch at its time of arrival (seconds, (N,)), `speed` times as fast; a camera's own stay in order."""

    def send(fusion: LocalFusion) -> None:
        link = LocalLink(fusion)
        for camera in sorted({batch.camera for batch in batches}):
            link.start_camera(camera)
        begun, tickets = time.monotonic(), []
        for row in np.argsort(arrival, kind="stable").tolist():
            ahead = (arrival[row] - arrival.min()) / speed - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
            tickets.append(link.send(batches[row]))
        wait(tickets, 300)

    return send


def by_workers(site: Site, count: int) -> Send:
    """Run the cameras in `count` shards at once."""

    def send(fusion: LocalFusion) -> None:
        shares = [tuple(camera.id for camera in site.cameras[n::count]) for n in range(count)]
        shards = [build_shard(site, share, LocalLink(fusion)) for share in shares if share]
        threads = [threading.Thread(target=shard.run) for shard in shards]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return send


def scored(truth: Any, records: Sequence[Record]) -> SiteEvaluation:
    tracks, identities = ([r.value for r in records if r.topic == topic] for topic in (TRACKS, IDENTITIES))
    return evaluate_site(truth, *results_of(tracks, identities))


def seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def publication(found: SiteEvaluation) -> dict[str, Any]:
    assert found.published is not None
    return {
        "idf1": round(found.corrected.idf1, 2),
        "idf1_as_published": round(found.published.idf1, 2),
        "seconds_median": seconds(found.seconds_median),
        "seconds_p90": seconds(found.seconds_p90),
        "never_right": found.never_right,
        "visits": found.visits,
        "corrections": found.corrections,
        "provisional": round(found.provisional or 0.0, 2),
    }


def compare(site: Site, truth: Any, speed: float, seed: int) -> dict[str, Any]:
    topology, appearance = build_topology(site), appearance_of(site)
    batches = record(site)

    def engine(publish: str = "decided") -> FusionEngine:
        fusion = Fusion.model_validate({**site.fusion.model_dump(), "publish": publish})
        return FusionEngine(site.site, topology, fusion_settings(fusion, appearance))

    ordered = steps(batches, site.interval_ns)
    online = fuse(engine(), ordered)
    encode = open_codec().encode
    expected = [encode(record) for record in online]
    dice = np.random.default_rng(seed)
    times = np.array([(batch.interval + 1) * site.interval_ns / SECOND_NS for batch in batches])
    sequences = np.array([batch.sequence for batch in batches])
    late = {camera.id: dice.uniform(0, LATE_S, sequences.max() + 1) for camera in site.cameras}
    delays = np.array([late[batch.camera][batch.sequence] for batch in batches])
    own_order = times + np.array([late[batch.camera][0] for batch in batches]) + 0.3 * delays / LATE_S
    ways: dict[str, tuple[Send, bool]] = {
        "live": (in_order_of(batches, own_order, speed), True),
        "shuffled": (in_order_of(batches, times + delays), False),
        "workers_1": (by_workers(site, 1), False),
        "workers_4": (by_workers(site, 4), False),
    }
    same = {name: committed(site, engine, send, live) == expected for name, (send, live) in ways.items()}
    mixed = list(batches)
    random.Random(seed).shuffle(mixed)
    at_once = scored(truth, fuse(engine(), [(END_OF_TIME, mixed)])).corrected.idf1
    decided, guessed = scored(truth, online), scored(truth, fuse(engine("provisional"), ordered))
    return {
        "records": len(expected),
        "same_bytes": same,
        "idf1_online": round(decided.corrected.idf1, 2),
        "idf1_at_once": round(at_once, 2),
        "idf1_agree": abs(decided.corrected.idf1 - at_once) <= AGREE,
        "decided": publication(decided),
        "provisional": publication(guessed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, nargs="?")
    parser.add_argument("--gt", type=Path)
    parser.add_argument("--place", default="hall", help="of the simulated site")
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rank1", type=float, default=0.8)
    parser.add_argument("--speed", type=float, default=10.0, help="of the live run; 1 is as recorded")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.site is not None and options.gt is None:
        parser.error("give the truth of the site, too: --gt FOLDER")
    with tempfile.TemporaryDirectory() as folder:
        path, truth = options.site, options.gt
        if path is None:
            words = ("place", "cameras", "people", "seconds", "rank1", "seed")
            chosen = [f"{word}={getattr(options, word)}" for word in words]
            write_site(Path(folder) / "site", parse_settings([*chosen, "tracks=1"]), fps=5.0, record="jsonl")
            path, truth = Path(folder) / "site" / "site.yaml", Path(folder) / "site" / "truth"
        begun = time.process_time()
        found = compare(load(path), find_ground_truth(truth), options.speed, options.seed)
        spent = round(time.process_time() - begun, 1)
    shown = {name: None if value is None else str(value) if name in ("site", "gt") else value
             for name, value in vars(options).items()}  # fmt: skip
    print(json.dumps({**shown, **found, "cpu_s": spent}))


if __name__ == "__main__":
    main()
