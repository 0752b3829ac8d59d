"""What `nglab bench` writes: every row in `bench.csv`, tables for people in `bench.md`, pictures."""

import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from nglab.bench.peers import DISTRIBUTIONS
from nglab.bench.pictures import draw
from nglab.plotting.markdown import pipe_table
from nglab.runs.machine import processor
from nglab.runs.provenance import git_commit

UNITS = {
    "sgd": ("SGD step, 20 examples, µs (× autograd)", 1e3, "over_autograd"),
    "ngd": ("NGD step, 1000 examples, curvature and inverses refreshed, ms (× explicit forward + backward)", 1,
            "over_explicit"),
    "parts": ("The parts of nglab's NGD step, ms (share)", 1, "share"),
}  # fmt: skip
SWEEPS = {
    "scaling": ("NGD step, ms (× explicit forward + backward)", "over_explicit"),
    "solvers": ("One factor refreshed and applied, ms (× direct inversion)", "over_direct"),
}
READING = (
    "Medians over rounds in which every contender is called once off the clock, then timed; a ratio is taken within "
    "each round, then its median."
    " Quartiles are in bench.csv. The matmul rate is the best of plain products of square matrices, whoever computes"
    " them; the arithmetic is that of nglab's step by dense products."
)


def write_report(
    rows: pd.DataFrame, threads: int, dtype: str, rounds: int, folder: Path
) -> list[Path]:
    """Write the files into `folder`; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "bench.csv", folder / "bench.md"]
    first = ["what", "panel", "setting", "contender"]
    rows = rows.reindex(columns=[*first, *(c for c in rows.columns if c not in first)])
    rows.to_csv(files[0], index=False)
    head = machine(threads, dtype, rounds)
    files[1].write_text("\n\n".join(["# nglab bench", head, *sections(rows), READING]) + "\n")
    return files + draw(rows, folder)


def machine(threads: int, dtype: str, rounds: int) -> str:
    """The processor, how it was used, and the versions of what was measured."""
    versions = [f"Python {platform.python_version()}"]
    for name in ("torch", *DISTRIBUTIONS):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    used = f"{threads} thread{'s' if threads > 1 else ''}, {dtype}, {rounds} rounds"
    return (
        f"{processor()}; {used}; nglab {git_commit() or version('nglab')}; {', '.join(versions)}."
    )


def sections(rows: pd.DataFrame) -> list[str]:
    """A heading and a table for each measurement that was made, and who could not run."""
    parts = []
    for what, (title, unit, ratio) in UNITS.items():
        some = rows[rows.what == what]
        if some.empty:
            continue
        cell = share_cell if what == "parts" else partial(ratio_cell, unit=unit, ratio=ratio)
        parts.append(f"## {title}\n\n{pivot(some, 'panel', cell)}")
        if what != "parts":
            times = pivot(some, "panel", partial(plain_cell, column="over_nglab"))
            parts.append(f"How many times nglab's time:\n\n{times}")
    for what, (title, ratio) in SWEEPS.items():
        for panel, some in rows[rows.what == what].groupby("panel", sort=False):
            cells = pivot(some, "setting", partial(ratio_cell, unit=1, ratio=ratio))
            parts.append(f"## {title}: {panel}\n\n{cells}")
    rates = rows[rows.what == "gemm"]
    if len(rates):
        cells = pivot(rates, "setting", partial(plain_cell, column="gflops"))
        parts.append(f"## Plain matrix products n × n, GFLOP/s\n\n{cells}")
    return parts + errors(rows)


def pivot(rows: pd.DataFrame, across: str, cell: Callable[[Any], str]) -> str:
    """Contenders down, `across` to the right."""
    lines = []
    for name, some in rows.groupby("contender", sort=False):
        cells = {f"{getattr(row, across):g}" if across == "setting" else getattr(row, across): cell(row)
                 for row in some.itertuples()}  # fmt: skip
        lines.append({"": str(name), **{str(key): value for key, value in cells.items()}})
    columns = list(dict.fromkeys(key for line in lines for key in line))
    return pipe_table([{key: line.get(key, "") for key in columns} for line in lines])


def ratio_cell(row: Any, unit: float, ratio: str) -> str:
    return "–" if pd.isna(row.ms) else f"{row.ms * unit:.3g} ({getattr(row, ratio):.2g})"


def share_cell(row: Any) -> str:
    return f"{row.ms:.3g} ({row.share:.0%})"


def plain_cell(row: Any, column: str) -> str:
    value = getattr(row, column)
    return "–" if pd.isna(value) else f"{value:.3g}"


def errors(rows: pd.DataFrame) -> list[str]:
    """Who could not run, and why."""
    if "error" not in rows:
        return []
    failed = rows.dropna(subset="error").groupby(["contender", "error"], sort=False).panel
    lines = [
        f"- {name} ({', '.join(dict.fromkeys(panels))}): {error}"
        for (name, error), panels in failed
    ]
    return ["## Could not run\n\n" + "\n".join(lines)] if lines else []
