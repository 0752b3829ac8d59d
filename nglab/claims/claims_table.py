"""Run the claims; print and write what was expected and what was measured."""

import time
from collections.abc import Callable, Sequence
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

EXPLANATION = """\
B = Bernacchia, Lengyel & Hennequin (2018), M = Martens (2014). What is expected was stated before measuring and follows
from the theory. A row that says that something fails holds when it fails as the theory says.
"""


def load(themes: Sequence[str] = THEMES) -> dict[str, Claim]:
    """The claims that these modules of `nglab/claims/` register, by name."""
    modules = [f"nglab.claims.{theme}" for theme in themes]
    for module in modules:
        import_module(module)
    return {
        name: one
        for module in modules
        for name, one in CLAIMS.items()
        if one.measure.__module__ == module
    }


def chosen(names: Sequence[str], themes: Sequence[str] = THEMES) -> list[Claim]:
    """The claims of these names, all where there are none; InputError for a name that is no claim."""
    claims = load(themes)
    for name in names:
        if name not in claims:
            raise InputError(f"claims={name}: no such claim; there are {', '.join(claims)}")
    return [claims[name] for name in names or claims]


def run_claims(
    names: Sequence[str],
    folder: Path,
    themes: Sequence[str] = THEMES,
    stem: str = "claims",
    page: Callable[[Sequence[Claim], pd.DataFrame], str] | None = None,
) -> bool:
    """Measure the claims, print a line a check, write `claims.csv`, `claims.md` and pictures; did all hold?

    `stem` is the name of the two files, and `page` makes the second of the claims and their table.
    """
    claims = chosen(names, themes)
    files = [folder / f"{stem}.csv", folder / f"{stem}.md"]
    check_folder(folder, *(file.name for file in files), *(f"{one.name}.png" for one in claims))
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
    table.to_csv(files[0], index=False)
    files[1].write_text(page(claims, table) if page else to_markdown(table))
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
    """The claim's picture, as PNG: a panel, and those beside it."""
    assert result.draw is not None
    panels = [result.draw, *result.beside]
    figure = Figure(figsize=(3.4 * len(panels), 2.6), layout="constrained")
    for draw_panel, axes in zip(
        panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True
    ):
        draw_panel(axes)
    title = f"{claim.name} ({claim.source})"
    if result.beside:
        figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    else:
        axes.set_title(title, loc="left")
    save(figure, stem, ["png"])
