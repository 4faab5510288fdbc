"""Lets these tests share a small ledger."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
