"""Names for the arrays of the core."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Ids = NDArray[np.int64]

# The columns of `operators.records.Tracks`, in its order, without `ended`.
Columns: TypeAlias = tuple[Any, Any, Any, Any, Any, Any, Any, Any, Any]
