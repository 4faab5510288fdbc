"""Lets the fusion tests share their scenes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
