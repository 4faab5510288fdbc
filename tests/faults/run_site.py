"""Runs a site as `crosscam run` does and prints, as JSON lines, its commits and the process ids of its actors.

python run_site.py SITE.yaml [NAMESPACE]

With a namespace other than the one that sites run in, it does not know of a run of the same site that goes on already.
"""

import json
import logging
import sys
from pathlib import Path

import ray

from operators.records import CrosscamError
from pipeline.cli.signals import install_sigterm
from pipeline.config_file import load
from pipeline.launch import Supervisor
from pipeline.progress import Progress


def tell(progress: Progress) -> None:
    """One line."""
    print(json.dumps({"commits": progress.commits, "pids": progress.pids, "waits": progress.waiting_for}), flush=True)


def main() -> int:
    """Run; 130 where it was stopped."""
    install_sigterm()
    site = load(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        ray.init(site.ray_address, namespace=sys.argv[2], log_to_driver=False, logging_level=logging.ERROR)
    try:
        Supervisor(site, tell, on_connected=install_sigterm).run()
    except KeyboardInterrupt:
        return 130
    except CrosscamError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
