"""Tables for people to read in a text file."""

from collections.abc import Sequence


def pipe_table(rows: Sequence[dict[str, str]]) -> str:
    """A Markdown table, its columns named by the first row's keys; a bar in a cell is escaped."""
    cells = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in line)} |" for line in cells
    )
