"""What `nglab bench` writes: every row in `bench.csv`, tables for people in `bench.md`, pictures."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from nglab.bench.bench_tables import sections
from nglab.bench.module_steps import MODULE_DISTRIBUTIONS
from nglab.bench.peers import DISTRIBUTIONS
from nglab.bench.pictures import draw
from nglab.bench.whole_runs import LOSS, PASSES
from nglab.runs.folder import FLOOR_FACTOR
from nglab.runs.provenance import git_commit, processor

VARIABLES = ("MKL_", "OMP_", "OPENBLAS_", "ONEDNN_", "DNNL_", "XLA_", "NGLAB_MKL", "NGLAB_NATIVE")
READING = (
    "Medians over rounds in which every contender is called once off the clock, unless it takes a tenth of a second"
    " anyway, then timed; a ratio is taken within each round, then its median. Quartiles are in bench.csv. *(vendor)*"
    " marks who runs in a second process, where MKL's vendor check is as the vendor has it; the two processes take"
    " turns in every round. JAX brings products of its own and runs in the first.",
    "The matmul rate is the best of plain products of square matrices, whoever computes them. The arithmetic of NGD is"
    " that of Eqs. 20 and 21 with the symmetric ⟨x xᵀ⟩ and ⟨e eᵀ⟩ counted half, and the loss of a network that is one"
    " matrix by the product of its weights where that takes less.",
    "On an nn.Module a step is timed on one batch, or on ten of which the first makes the curvature anew: MLP, the"
    " network of D on 1000 examples; CNN, 8 filters of 5 × 5, 16 of 3 × 3 (stride 2, tanh) and a linear layer on 500"
    " images. kfac-pytorch and singd take the empirical Fisher, out of the gradient's own backward pass, and keep λ;"
    " nglab.torch samples targets and, where λ is not kept, evaluates the loss anew to adapt it.",
    "Steps take white noise; the settings are those of `conf/optimizer/`, kfac-jax's the same numbers under its own"
    " names. Whole runs train what `nglab run` trains, and take medians over seeds: to"
    f" {FLOOR_FACTOR:g} times the smallest possible loss, D, where it is not known, to a test loss of {LOSS:g}, in at"
    f" most {PASSES} passes; evaluated each tenth of a pass; compilation and warm-up are off the clock.",
)


def write_report(
    rows: pd.DataFrame, blas: Mapping[str, str], threads: int, rounds: int, folder: Path
) -> list[Path]:
    """Write the files into `folder`; returns them. `blas` says what the products are made by in each process."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "bench.csv", folder / "bench.md"]
    first = ["what", "dtype", "panel", "setting", "contender", "blas"]
    rows = rows.reindex(columns=[*first, *(c for c in rows.columns if c not in first)])
    rows.to_csv(files[0], index=False, float_format="%.6g")
    head = machine_line(blas, threads, rounds)
    files[1].write_text("\n\n".join(["# nglab bench", head, *sections(rows), *READING]) + "\n")
    return files + draw(rows, folder)


def machine_line(blas: Mapping[str, str], threads: int, rounds: int) -> str:
    """The processor, how it was used, the BLAS, and the versions of what was measured."""
    versions = [f"Python {platform.python_version()}"]
    for name in ("torch", *DISTRIBUTIONS, *MODULE_DISTRIBUTIONS):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    used = f"{threads} thread{'s' if threads > 1 else ''}, {rounds} rounds"
    products = "; ".join(f"{name}: {described}" for name, described in blas.items())
    set_to = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(VARIABLES)]
    return (
        f"{processor()}; {used}; nglab {git_commit() or version('nglab')}; {', '.join(versions)}."
        f"\n\nBLAS, {products}. Set in the environment: {', '.join(set_to) or 'nothing'}"
        f" (of {', '.join(f'{name}*' for name in VARIABLES)})."
    )
