"""How the jobs of a sweep are run: one after another, or those that can be, trained as one stack.

Jobs that are finished in the sweep's folder already are left alone.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from nglab.runs.ownership import finished
from nglab.settings.building import value_of
from nglab.settings.fields import Count, Positive
from nglab.sweeps.job import Job, RunFailed, reported, sweep_job
from nglab.sweeps.objective import with_outcome
from nglab.sweeps.workers import Lost, in_processes, useful_processes

log = logging.getLogger(__name__)

OPTIONS = {
    "memory_gib": Positive,
    "cache_mib": Positive | None,
    "processes": Count | None,
    "alone": bool,
}
"""What the options of `stacked` must be."""


class Sequential(Launcher):
    """One job after another in this process, as Hydra's basic launcher has it."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        setup_globals()
        self.log_of_the_sweep()
        returns = {i: done() for i in range(len(job_overrides))}
        with reported():
            jobs = [
                sweep_job(self.context, self.config, initial_job_idx + i, overrides)
                for i, overrides in enumerate(job_overrides)
            ]
            left = [job for job in jobs if not finished(job.folder, job.config.described())]
            if len(left) < len(jobs):
                log.info("%d of %d jobs are finished already", len(jobs) - len(left), len(jobs))
            groups = self.groups(left)
            for members, results in zip(groups, self.run_all(groups), strict=True):
                for job, result in zip(members, results, strict=True):
                    returns[job.number - initial_job_idx] = result
            return [with_outcome(returns[i], job.folder) for i, job in enumerate(jobs)]

    def log_of_the_sweep(self) -> None:
        """Log to the terminal: each job's own log replaces this one."""
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    def groups(self, jobs: list[Job]) -> list[list[Job]]:
        """Which jobs are run together."""
        return [[job] for job in jobs]

    def run_all(self, groups: list[list[Job]]) -> Iterator[list[JobReturn]]:
        return map(self.attempt, groups)

    def attempt(self, jobs: list[Job], **more: Any) -> list[JobReturn]:
        """Run a group; what cannot even be started, as on a full disk, has failed, and the next one begins."""
        try:
            with reported():
                return self.run(jobs, **more)
        except RunFailed as error:
            return [failed(error) for _ in jobs]

    def run(self, jobs: list[Job]) -> list[JobReturn]:
        """Run a group."""
        (job,) = jobs
        log.info("%s", job)
        return [self.in_its_folder(job, self.task)]

    def in_its_folder(self, job: Job, task: TaskFunction) -> JobReturn:
        """Let Hydra make the job's folder, with .hydra/ and its log, and do `task` there."""
        result = run_job(
            hydra_context=self.context,
            task_function=task,
            config=job.composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        self.log_of_the_sweep()
        return result


class Stacked(Sequential):
    """Jobs that differ only in seed and real numbers trained as one; each folder as its job alone would leave it.

    Several stacks are trained in as many `processes`, each with its share of the cores; null: one a core, or one where
    a GPU may be used. A stack that would take more than `memory_gib`, or whose steps would touch more than
    `cache_mib`, is trained in parts. The jobs that cannot be stacked follow one after another, or where they need not
    be `alone`, are dealt out with the stacks.
    """

    def __init__(
        self, memory_gib: float, cache_mib: float | None, processes: int | None, alone: bool
    ) -> None:
        given = {
            "memory_gib": memory_gib,
            "cache_mib": cache_mib,
            "processes": processes,
            "alone": alone,
        }
        for key, value in given.items():
            value_of(OPTIONS[key], value, f"hydra.launcher.{key}")
        self.memory = memory_gib * 2**30
        self.cache = math.inf if cache_mib is None else cache_mib * 2**20
        self.processes, self.alone = processes, alone

    def groups(self, jobs: list[Job]) -> list[list[Job]]:
        from nglab.sweeps.grouping import group  # torch: seconds

        configs = [job.config for job in jobs]
        self.processes = self.processes or useful_processes(c.device for c in configs)
        groups = group(configs, self.memory / self.processes, self.cache, self.processes)
        return [[jobs[i] for i in members] for members in groups]

    def run_all(self, groups: list[list[Job]]) -> Iterator[list[JobReturn]]:
        """The stacks, several at a time, then the others; what comes back is in the order of `groups`."""
        dealt = [jobs for jobs in groups if self.is_dealt(jobs)]
        count = min(self.processes or 1, len(dealt))
        if count < 2:
            return super().run_all(groups)
        log.info("%d stacks in %d processes", len(dealt), count)
        done = iter(in_processes(partial(self.attempt, beside_others=True), dealt, count))
        return (brought(jobs, next(done)) if self.is_dealt(jobs) else self.attempt(jobs)
                for jobs in groups)  # fmt: skip

    def is_dealt(self, jobs: list[Job]) -> bool:
        return len(jobs) > 1 or not self.alone

    def run(self, jobs: list[Job], beside_others: bool = False) -> list[JobReturn]:
        if len(jobs) == 1 and not beside_others:
            return super().run(jobs)
        from nglab.runs.run import run_together  # torch: seconds

        log.info("%d jobs trained as one:\n%s", len(jobs), "\n".join(map(str, jobs)))
        results, logs = zip(*map(self.opened, jobs), strict=True)
        self.log_of_the_sweep()
        try:
            with also_logging_to(chain(*logs)), reported():
                run_together(
                    [job.config for job in jobs],
                    [job.folder for job in jobs],
                    progress=False if beside_others else None,
                    concurrent=beside_others,
                )
        except RunFailed as error:
            for result in results:
                result.status, result.return_value = JobStatus.FAILED, error
        return list(results)

    def opened(self, job: Job) -> tuple[JobReturn, list["MemberLog"]]:
        """What Hydra does around a job, without the copies that `run_job` makes: its folder, with .hydra/, and its log.

        The callbacks of others are told of its end at once: they know one job at a time.
        """
        cfg, result = job.composed, done()
        configure_log(cfg.hydra.job_logging, cfg.hydra.verbose)
        self.context.callbacks.on_job_start(config=cfg, task_function=self.task)
        self.context.callbacks.on_job_end(config=cfg, job_return=result)
        return result, [MemberLog(job.folder, file) for file in own_logs()]


def brought(jobs: Sequence[Job], results: list[JobReturn] | Lost) -> list[JobReturn]:
    """The results of a stack, failures where its process was lost."""
    if not isinstance(results, Lost):
        return results
    named = ", ".join(f"#{job.number} {job.folder}" for job in jobs)
    error = RunFailed(f"{results}: {named}: the same again goes on")
    log.error("%s", error)
    return [failed(error) for _ in jobs]


def failed(error: Exception) -> JobReturn:
    result = JobReturn(status=JobStatus.FAILED)
    result.return_value = error
    return result


def done() -> JobReturn:
    result = JobReturn(status=JobStatus.COMPLETED)
    result.return_value = None
    return result


def own_logs() -> list[logging.FileHandler]:
    """The log files that Hydra has opened for a job."""
    return [h for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler)]


class MemberLog(logging.Handler):
    """Adds to one run's log what concerns all runs of a stack, and of what concerns one run its own."""

    def __init__(self, folder: Path, like: logging.FileHandler) -> None:
        super().__init__(like.level)
        self.folder, self.file = folder, Path(like.baseFilename)
        self.setFormatter(like.formatter)

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "folder", self.folder) == self.folder:
            with self.file.open("a") as file:
                file.write(self.format(record) + "\n")


@contextmanager
def also_logging_to(handlers: Iterable[logging.Handler]) -> Iterator[None]:
    root, more = logging.getLogger(), list(handlers)
    root.handlers += more
    try:
        yield
    finally:
        root.handlers = [h for h in root.handlers if h not in more]
