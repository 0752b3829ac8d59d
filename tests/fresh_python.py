"""Python programs in a process of their own, with a torch that is none where only its import matters."""

import os
import subprocess
import sys
from pathlib import Path

import nglab
from nglab.native.compiler import build
from nglab.native.instruction_set import flags, processor
from nglab.native.library import VENDOR_CHECK, ready
from nglab.native.vendor_check import NEEDED, VENDORS

COMPILES = build([VENDOR_CHECK]) is not None
"""Whether there is a C compiler that works."""

APPLIES = processor().get("vendor_id") in VENDORS and flags() >= NEEDED
CAN_BE = bool(APPLIES and (COMPILES or ready("vendor_check")))
"""Whether the vendor check concerns this machine, and whether it can be answered here."""

ROOT = Path(nglab.__file__).parents[1]
STUB = """
import ctypes
answered = hasattr(ctypes.CDLL(None), "mkl_serv_intel_cpu_true")
"""


def python(program: str, *paths: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -c program` with modules found in `paths` first, `variables` in its environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NGLAB_", "PYTHONPATH"))}
    found = os.pathsep.join(map(str, [*paths, ROOT]))
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, "PYTHONPATH": found, **variables}, capture_output=True, text=True,
    )  # fmt: skip


def said(program: str, *paths: Path, **variables: str) -> str:
    """What it prints; it must end well and say nothing else."""
    done = python(program, *paths, **variables)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.strip()


def torch_stub(folder: Path) -> Path:
    """A folder with a module `torch` that says, as `answered`, whether MKL's check is answered when it is imported."""
    (folder / "torch.py").write_text(STUB)
    return folder
