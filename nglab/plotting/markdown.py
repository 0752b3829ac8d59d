"""Tables for people to read in a text file."""

import math
from collections.abc import Sequence


def pipe_table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table, its columns named by the first row's keys; a bar in a cell is escaped."""
    cells = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |" for line in cells
    )


def number(value: float) -> str:
    """Three digits, "1,230" from a thousand on; "–" for what is not finite."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.3g}" if abs(value) < 999.5 else f"{float(f'{value:.3g}'):,.0f}"
