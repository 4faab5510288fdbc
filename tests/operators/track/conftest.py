"""Lets the tests of tracking import the plain re-implementations that stand beside them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
