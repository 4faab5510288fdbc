"""Does it matter how a site reaches fusion? Shuffled arrival, one commit for everything, guesses instead of waiting.

python tests/benchmarks/fusion_parity.py SITE.yaml --gt TRUTH      # a site of recordings, as `crosscam simulate` makes

Prints JSON: whether the same bytes came out however the batches arrived, multi-camera IDF1 online and given everything
at once, and for `publish: decided` and `provisional`: seconds until the right identity, corrections, share of guesses.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtmct.fusion import END_OF_TIME, FusionEngine
from mtmct.mot_text import find_ground_truth
from mtmct.records import IDENTITIES, TRACKS, Record
from mtmct.site_evaluation import SiteEvaluation, evaluate_site
from pipeline.assembly import appearance_of, build_topology
from pipeline.config_file import load
from pipeline.config_fusion import Fusion
from pipeline.fusion_settings import fusion_settings
from pipeline.replay import fuse, record, steps
from pipeline.schema.codec import open_codec
from pipeline.site_results import results_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--gt", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    site = load(options.site)
    truth = find_ground_truth(options.gt)
    batches = record(site)
    topology, appearance = build_topology(site), appearance_of(site)

    def engine(**changes: Any) -> FusionEngine:
        fusion = Fusion.model_validate({**site.fusion.model_dump(), **changes})
        return FusionEngine(site.site, topology, fusion_settings(fusion, appearance))

    def scored(records: Sequence[Record]) -> SiteEvaluation:
        tracks, identities = ([r.value for r in records if r.topic == topic] for topic in (TRACKS, IDENTITIES))
        return evaluate_site(truth, *results_of(tracks, identities))

    ordered = steps(batches, site.interval_ns)
    mixed = list(batches)
    random.Random(options.seed).shuffle(mixed)
    online = fuse(engine(publish="decided"), ordered)
    shuffled = fuse(engine(publish="decided"), steps(mixed, site.interval_ns))
    at_once = scored(fuse(engine(publish="decided"), [(END_OF_TIME, list(batches))]))
    guessed = scored(fuse(engine(publish="provisional"), ordered))
    decided = scored(online)
    result = {
        "site": str(options.site),
        "same_bytes_shuffled": _bytes(online) == _bytes(shuffled),
        "idf1_online": round(decided.corrected.idf1, 2),
        "idf1_at_once": round(at_once.corrected.idf1, 2),
        "decided": _publication(decided),
        "provisional": _publication(guessed),
    }
    print(json.dumps(result))


def _bytes(records: Sequence[Record]) -> list[bytes]:
    codec = open_codec()
    return [codec.encode(record).value for record in records]


def _publication(found: SiteEvaluation) -> dict[str, Any]:
    assert found.published is not None
    return {
        "idf1": round(found.corrected.idf1, 2),
        "idf1_as_published": round(found.published.idf1, 2),
        "seconds_median": found.seconds_median,
        "seconds_p90": found.seconds_p90,
        "never_right": found.never_right,
        "visits": found.visits,
        "corrections": found.corrections,
        "provisional": round(found.provisional or 0.0, 2),
    }


if __name__ == "__main__":
    main()
