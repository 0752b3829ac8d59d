"""What the seeds of a setting make together: least, median and greatest, and how a table says it."""

from typing import Any

import numpy as np
import pandas as pd

from nglab.plotting.markdown import number


def over_seeds(values: Any) -> pd.DataFrame:
    """`low, median, high` of a column grouped by setting."""
    table: pd.DataFrame = values.agg(low="min", median="median", high="max")
    return table


def in_words(found: pd.Series) -> str:
    """ "52 (48 to 60)"; the median alone where all agree; "∞" for what never was."""
    median, low, high = (infinite(found[name]) for name in ("median", "low", "high"))
    return median if low == high else f"{median} ({low} to {high})"


def infinite(value: float) -> str:
    """As `number`, and ∞."""
    return "∞" if np.isinf(value) else number(value)
