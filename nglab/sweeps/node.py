"""What a node of a cluster is given: the jobs of a stack, trained there as the command's own process would."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals

from nglab.errors import InputError
from nglab.memory import collect_rarely, keep_freed_memory
from nglab.runs.ownership import finished
from nglab.sweeps.job import Job, RunFailed, reported, sweep_job
from nglab.sweeps.outcomes import done, failed

if TYPE_CHECKING:
    from nglab.sweeps.launchers import Sequential


class Stack:
    """The jobs, by number and overrides, and the launcher that trains them; submitit calls it, on each node anew."""

    def __init__(self, launcher: "Sequential", jobs: Sequence[Job], threads: int) -> None:
        self.launcher, self.threads = launcher, threads
        self.asked = [(job.number, job.overrides) for job in jobs]
        self.hydra = Singleton.get_state()

    def __call__(self) -> list[JobReturn]:
        """The results in the order of the jobs. What one raises is its result: it never leaves the node without."""
        os.environ.setdefault("OMP_NUM_THREADS", str(self.threads))  # before PyTorch
        keep_freed_memory()
        collect_rarely()
        Singleton.set_state(self.hydra)
        setup_globals()
        results: dict[int, JobReturn] = {}
        left = [job for number, words in self.asked if (job := self.begun(number, words, results))]
        if left:
            numbers = (job.number for job in left)
            results |= zip(numbers, self.launcher.attempt(left, beside_others=True), strict=True)
        return [results[number] for number, _ in self.asked]

    def begun(
        self, number: int, overrides: Sequence[str], results: dict[int, JobReturn]
    ) -> Job | None:
        """The job, composed; None where there is nothing to train, which has its result."""
        try:
            with reported():
                job = sweep_job(self.launcher.context, self.launcher.config, number, overrides)
                if not finished(job.folder, job.config.described()):
                    return job
            results[number] = done()
        except (InputError, RunFailed) as error:
            results[number] = failed(error, overrides)
        return None

    def checkpoint(self) -> Any:
        """What submitit puts into the queue again before the time limit: the same, which goes on where it was."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
