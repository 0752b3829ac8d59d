"""The rows of `bench.csv` as tables for people: a time a cell, in brackets what it is divided by."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from nglab.bench.timing import VENDOR
from nglab.plotting.markdown import number, pipe_table


class Table(NamedTuple):
    """How a measurement is told: its unit in milliseconds, its columns of ratios and what they are divided by."""

    title: str
    unit: tuple[str, float]
    ratios: dict[str, str]
    across: str = "panel"


MS, US = ("ms", 1.0), ("µs", 1e-3)
ROOF = {"over_roof": "the arithmetic at the matmul rate"}
SCAN = {"over_jax": "JAX's scan"}
KFAC_JAX = {"over_kfac_jax": "kfac-jax"}
EXPLICIT = {"over_explicit": "forward and backward written out"}
TABLES = {
    "sgd": Table("SGD step, 20 examples", US, SCAN | ROOF),
    "momentum": Table("Momentum step, 20 examples", US, SCAN),
    "ngd": Table(
        "NGD step, 1000 examples, curvature and inverses refreshed", MS,
        {"over_kfac_jax": "kfac-jax, all fixed"} | EXPLICIT | ROOF),
    "kfac": Table("kfac's step, 250 examples", MS, KFAC_JAX),
    "layerwise": Table("layerwise's step, 250 examples", MS, KFAC_JAX),
    "stacks": Table("SGD, 20 examples, a run and step", US, {"over_alone": "alone", "over_jax": "JAX's vmap"}),
    "libraries": Table("The NGD step by PyTorch's libraries", MS, {"over_nglab": "nglab"}),
    "modules": Table("A step on any nn.Module, curvature made anew as said", MS,
                     {"over_autograd": "autograd's forward and backward"}),
    "scaling": Table("NGD step", MS, EXPLICIT, "setting"),
    "solvers": Table("One factor refreshed and applied", MS, {"over_direct": "direct inversion"}, "setting"),
}  # fmt: skip
GLANCE = [
    ("sgd", "over_jax", "SGD ÷ JAX's scan"),
    ("momentum", "over_jax", "momentum ÷ JAX's scan"),
    ("ngd", "over_kfac_jax", "NGD ÷ kfac-jax, all fixed"),
    ("ngd", "over_kfac_jax_rule", "NGD ÷ kfac-jax, λ by its rule"),
    ("kfac", "over_kfac_jax", "kfac ÷ kfac-jax, all its rules, inverses as kfac"),
    ("layerwise", "over_kfac_jax", "layerwise ÷ kfac-jax, all its rules, inverses each step"),
]
"""What nglab's own step is divided by first of all."""


def sections(rows: pd.DataFrame) -> Iterator[str]:
    """Headings and tables of the measurements that were made, and who could not run."""
    if glance := list(at_a_glance(rows)):
        yield f"## nglab's step ÷ the fastest compiled one\n\n{pipe_table(glance)}"
    for dtype, some in rows.groupby("dtype", sort=False):
        yield f"## {dtype}"
        for what, table in TABLES.items():
            for panel, group in groups_of(some[some.what == what], table):
                yield titled(f"{table.title}{panel}", table, group)
        yield from (tell(group) for tell, group in others(some) if len(group))
    yield from errors(rows)


def at_a_glance(rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """A line for each ratio, precision and BLAS."""
    ours = rows[rows.contender.isin(["nglab", f"nglab{VENDOR}"])]
    for what, column, words in GLANCE:
        for (dtype, blas), some in ours[ours.what == what].groupby(["dtype", "blas"], sort=False):
            if column in some and some[column].notna().any():
                values = some.set_index("panel")[column]
                yield {"": words, "precision": str(dtype), "MKL": str(blas),
                       **{p: number(values.get(p, float("nan"))) for p in panels_of(rows)}}  # fmt: skip


def panels_of(rows: pd.DataFrame) -> list[str]:
    return sorted(panel for panel in set(rows.panel.dropna()) if len(panel) == 1)


def groups_of(rows: pd.DataFrame, table: Table) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each table: all panels in one, or, where a setting is varied, a table a panel."""
    if table.across == "setting":
        yield from ((f": {panel}", some) for panel, some in rows.groupby("panel", sort=False))
    elif len(rows):
        yield "", rows


def titled(title: str, table: Table, rows: pd.DataFrame) -> str:
    ratios = {c: words for c, words in table.ratios.items() if c in rows and rows[c].notna().any()}
    divided = "; ".join(f"÷ {words}" for words in ratios.values())
    cell = partial(time_cell, unit=table.unit[1], ratios=list(ratios))
    unit = f"{table.unit[0]} ({divided})" if ratios else table.unit[0]
    return f"### {title}, {unit}\n\n{pivot(rows, table.across, cell)}"


def others(rows: pd.DataFrame) -> list[tuple[Callable[[pd.DataFrame], str], pd.DataFrame]]:
    tell = {"parts": parts, "runs": runs, "gemm": rates}
    return [(function, rows[rows.what == what]) for what, function in tell.items()]


def parts(rows: pd.DataFrame) -> str:
    def cell(row: Any) -> str:
        return f"{number(row.ms)} ({row.share:.0%})"

    return f"### The parts of nglab's NGD step, ms (share)\n\n{pivot(rows, 'panel', cell)}"


def runs(rows: pd.DataFrame) -> str:
    def cell(row: Any) -> str:
        if pd.isna(row.runs):
            return "–"
        if row.seconds == float("inf"):
            return f"– ({number(row.over_target)} × the target)"
        reached = "" if row.at_target == row.runs else f"; {row.at_target:g} of {row.runs:g} runs"
        return f"{number(row.seconds)} ({number(row.examples / 1000)}{reached})"

    title = "Whole runs to the target, seconds of optimisation (thousand examples)"
    return f"### {title}\n\n{pivot(rows, 'panel', cell)}"


def rates(rows: pd.DataFrame) -> str:
    cells = pivot(rows, "setting", lambda row: number(row.gflops))
    return f"### Plain matrix products n × n, GFLOP/s\n\n{cells}"


def pivot(rows: pd.DataFrame, across: str, cell: Callable[[Any], str]) -> str:
    """Contenders down, `across` to the right."""
    lines = []
    for name, some in rows.groupby("contender", sort=False):
        cells = {f"{getattr(row, across):g}" if across == "setting" else getattr(row, across): cell(row)
                 for row in some.itertuples()}  # fmt: skip
        lines.append({"": str(name), **{str(key): value for key, value in cells.items()}})
    columns = list(dict.fromkeys(key for line in lines for key in line))
    return pipe_table([{key: line.get(key, "") for key in columns} for line in lines])


def time_cell(row: Any, unit: float, ratios: list[str]) -> str:
    if pd.isna(row.ms):
        return "–"
    known = [getattr(row, column) for column in ratios]
    shown = "; ".join("–" if pd.isna(ratio) else f"{ratio:.2g}" for ratio in known)
    return f"{number(row.ms / unit)} ({shown})" if ratios else number(row.ms / unit)


def errors(rows: pd.DataFrame) -> Iterator[str]:
    """Who could not run, and why."""
    if "error" not in rows:
        return
    failed = rows.dropna(subset="error").groupby(["contender", "error"], sort=False).panel
    lines = [
        f"- {name} ({', '.join(dict.fromkeys(panels))}): {error}"
        for (name, error), panels in failed
    ]
    if lines:
        yield "## Could not run\n\n" + "\n".join(lines)
