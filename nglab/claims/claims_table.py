"""Run the claims; print and write what was expected and what was measured."""

import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from nglab.claims.claim import CLAIMS, Claim, Result
from nglab.errors import InputError
from nglab.plotting.markdown import pipe_table
from nglab.plotting.style import save, styled
from nglab.runs.outputs import check_folder

THEMES = (  # the modules that register claims, in the order of the table
    "linear", "conditioning", "unit_changes", "convergence", "practice", "in_training", "inverses",
    "fishers", "curvature_products", "metrics", "geodesic", "quadratic_model", "reach", "invariance",
)  # fmt: skip

FILES = ("claims.csv", "claims.md")

EXPLANATION = """\
B = Bernacchia, Lengyel & Hennequin (2018), M = Martens (2014). What is expected was stated before measuring and follows
from the theory. A row that says that something fails holds when it fails as the theory says.
"""


def load() -> dict[str, Claim]:
    """Every claim by name."""
    for theme in THEMES:
        import_module(f"nglab.claims.{theme}")
    return CLAIMS


def chosen(names: Sequence[str]) -> list[Claim]:
    """The claims of these names, all where there are none; InputError for a name that is no claim."""
    claims = load()
    for name in names:
        if name not in claims:
            raise InputError(f"claims={name}: no such claim; there are {', '.join(claims)}")
    return [claims[name] for name in names or claims]


def run_claims(names: Sequence[str], folder: Path) -> bool:
    """Measure the claims, print a line a check, write `claims.csv`, `claims.md` and pictures; did all hold?"""
    claims = chosen(names)
    check_folder(folder, *FILES, *(f"{claim.name}.png" for claim in claims))
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for claim in claims:
        start = time.perf_counter()
        print(f"\n{claim.name} ({claim.source}): {claim.statement}", flush=True)
        result = claim.measure()
        for row in rows_of(claim, result):
            rows.append(row)
            print(
                f"  {row['verdict']:6} {row['measured']:>11.4g}  {row['expected']:18} {row['check']}"
            )
        print(f"  {time.perf_counter() - start:.1f} s", flush=True)
        if result.draw:
            draw(claim, result, folder / claim.name)
    table = pd.DataFrame(rows)
    table.to_csv(folder / FILES[0], index=False)
    (folder / FILES[1]).write_text(to_markdown(table))
    failed = table[table.verdict != "holds"]
    print(f"\n{len(table) - len(failed)} of {len(table)} checks hold; written to {folder}")
    return failed.empty


def rows_of(claim: Claim, result: Result) -> list[dict[str, object]]:
    """A row a check."""
    return [
        {
            "claim": claim.name,
            "source": claim.source,
            "check": check.what,
            "expected": check.expected,
            "measured": check.measured,
            "verdict": "holds" if check.holds else "FAILS",
        }
        for check in result.checks
    ]


def to_markdown(table: pd.DataFrame) -> str:
    """The table for people."""
    shown = table.assign(measured=[f"{value:.4g}" for value in table.measured])
    rows = [{str(k): str(v) for k, v in row.items()} for row in shown.to_dict("records")]
    return f"# Claims\n\n{EXPLANATION}\n{pipe_table(rows)}\n"


@styled
def draw(claim: Claim, result: Result, stem: Path) -> None:
    """The claim's picture, as PNG."""
    assert result.draw is not None
    figure = Figure(figsize=(3.4, 2.6), layout="constrained")
    axes = figure.add_subplot()
    result.draw(axes)
    axes.set_title(f"{claim.name} ({claim.source})", loc="left")
    save(figure, stem, ["png"])
