"""The claims on what came after the two papers: which modules hold them, and the page that shows them."""

from collections.abc import Sequence
from inspect import getdoc

import pandas as pd

from nglab.claims.claim import Claim
from nglab.plotting.markdown import pipe_table

THEMES = tuple(
    f"after.{name}"
    for name in (
        "one_step",
        "layer_coefficients",
        "reversible",
        "regulator",
        "wide_relu",
        "wide_layers",
    )
)

HEAD = """\
# What came after

Made by `nglab after`. Each section has the statement, why it must be so, a picture, and a table. What is expected
follows from theory and was stated before measuring; where a first expectation was wrong the section says so."""


def page(claims: Sequence[Claim], table: pd.DataFrame) -> str:
    """A section a claim: its source, its statement, its picture, its checks."""
    return (
        "\n\n".join([HEAD, *(section(one, table[table.claim == one.name]) for one in claims)])
        + "\n"
    )


def section(claim: Claim, checks: pd.DataFrame) -> str:
    """What a claim says, its picture, and its checks as a table in Markdown."""
    rows = [
        {
            "what": str(row.check),
            "expected": str(row.expected),
            "measured": f"{row.measured:.4g}",
            "verdict": str(row.verdict),
        }
        for row in checks.itertuples()
    ]
    return (
        f"## {claim.name}\n\n*{claim.source}.* {getdoc(claim.measure)}\n\n"
        f"![{claim.name}]({claim.name}.png)\n\n{pipe_table(rows)}"
    )
