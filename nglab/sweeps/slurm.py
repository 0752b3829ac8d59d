"""Slurm, as far as stacks have to do with it: what they ask of it, and what it has of them."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from nglab.errors import InputError
from nglab.settings.fields import Count, Options, Positive, setting


@dataclass(frozen=True)
class Slurm:
    """What each stack asks of Slurm; null leaves it to the cluster."""

    partition: str | None = setting("the queue")
    timeout_min: Count = setting("time limit; what is left goes on in the next job", unit="minutes")
    cpus_per_task: Count = setting("cores a stack, and as many threads")
    gpus_per_node: Count | None = setting("GPUs a stack")
    mem_gb: Positive | None = setting("memory a stack", unit="GB")
    account: str | None = setting("who is charged")
    qos: str | None = setting("quality of service")
    constraint: str | None = setting("features that the node must have")
    signal_delay_s: Count = setting("how long before the time limit the state is saved", unit="s")
    max_num_timeout: Count = setting("how often a stack may go on in the next job")
    setup: tuple[str, ...] | None = setting("lines of shell that come first, such as module load")
    additional_parameters: Options | None = setting("any other option of sbatch, by its name")

    def parameters(self, at_most: int | None) -> dict[str, Any]:
        """By submitit's names; `at_most` so many stacks at a time."""
        return {
            "name": "nglab",
            "timeout_min": self.timeout_min,
            "cpus_per_task": self.cpus_per_task,
            "gpus_per_node": self.gpus_per_node,
            "mem_gb": self.mem_gb,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_qos": self.qos,
            "slurm_constraint": self.constraint,
            "slurm_signal_delay_s": self.signal_delay_s,
            "slurm_setup": list(self.setup) if self.setup else None,
            "slurm_additional_parameters": {"requeue": True, **(self.additional_parameters or {})},
            "slurm_array_parallelism": at_most,
            "slurm_srun_args": [
                f"--cpus-per-task={self.cpus_per_task}"
            ],  # not inherited since 22.05
        }


def check_tools(on: str) -> None:
    """InputError where what it takes is not on this machine."""
    key = f"hydra.launcher.on={on}"
    if find_spec("submitit") is None:
        raise InputError(f"{key}: needs submitit: pip install 'nglab[launchers]'")
    missing = [name for name in ("sbatch", "srun", "squeue") if not shutil.which(name)]
    if on == "slurm" and missing:
        raise InputError(
            f"{key}: this machine has no {', '.join(missing)}: start the sweep where Slurm's"
            " commands are, or leave it local"
        )


def queue() -> dict[str, str]:
    """This user's jobs that Slurm has not done with: "17" or, of an array, "17_3", and the state. Needs no accounting.

    InputError where Slurm does not answer.
    """
    command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%T"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        what = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        raise InputError(f"hydra.launcher.on=slurm: Slurm does not answer: {what}") from error
    return dict(line.split("|") for line in said.stdout.split())
