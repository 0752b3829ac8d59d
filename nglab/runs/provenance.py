"""Where and with what a run is made."""

import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nglab.native import instruction_set
from nglab.native.arithmetic import arithmetic
from nglab.runs.versions import versions


def circumstances(device: torch.device) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processor": processor(),
        **arithmetic(),
        "versions": versions(),
        "git_commit": git_commit(),
    }


@cache
def processor() -> str:
    """The processor's name, as Linux tells it, else what Python knows."""
    told = instruction_set.processor().get("model name")
    return told or platform.processor() or platform.machine()


@cache
def git_commit() -> str | None:
    """The commit of the source tree that runs, "+changes" where the tree differs from it; None outside a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    options = ["describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"]
    command = ["git", "-C", str(root), *options]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
