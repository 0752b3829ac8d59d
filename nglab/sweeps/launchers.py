"""How the jobs of a sweep are run: one after another, or those that can be, trained as one stack.

Jobs that are finished in the sweep's folder already are left alone.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from nglab.errors import InputError
from nglab.runs.ownership import finished
from nglab.settings.building import value_of
from nglab.settings.fields import Count, Positive
from nglab.sweeps.cluster import Cluster
from nglab.sweeps.job import (
    Job,
    JobCallbacks,
    RunFailed,
    leaving_refusals,
    own_logs,
    reported,
    sweep_job,
)
from nglab.sweeps.node import Stack
from nglab.sweeps.objective import with_outcome
from nglab.sweeps.outcomes import done, error_of, failed, name_failures
from nglab.sweeps.slurm import Slurm
from nglab.sweeps.workers import Lost, in_processes, useful_processes

log = logging.getLogger(__name__)

OPTIONS = {
    "memory_gib": Positive,
    "cache_mib": Positive | None,
    "processes": Count | None,
    "alone": bool,
    "on": Literal["local", "slurm", "submitit_local"],
    "slurm": Slurm,
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
                results = self.run(jobs, **more)
        except (InputError, RunFailed) as error:
            results = [failed(error, job.overrides) for job in jobs]
        if any(
            isinstance(error_of(result), InputError) for result in results
        ):  # else it is in the log
            name_failures(jobs, results)
        return results

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

    `on` a cluster each stack, and each job that cannot be stacked, is a job of `slurm`'s, at most `processes` of them
    at a time (null: as many as there are), and where there are jobs enough as many stacks.
    """

    def __init__(
        self,
        memory_gib: float,
        cache_mib: float | None,
        processes: int | None,
        alone: bool,
        on: str,
        slurm: DictConfig,
    ) -> None:
        given = {
            "memory_gib": memory_gib,
            "cache_mib": cache_mib,
            "processes": processes,
            "alone": alone,
            "on": on,
            "slurm": slurm,
        }
        right = {
            key: value_of(OPTIONS[key], value, f"hydra.launcher.{key}")
            for key, value in given.items()
        }
        self.memory = memory_gib * 2**30
        self.cache = math.inf if cache_mib is None else cache_mib * 2**20
        self.processes, self.alone = processes, alone
        self.cluster = None if on == "local" else Cluster(on, right["slurm"], processes)

    @property
    def sweep(self) -> Path:
        return Path(self.config.hydra.sweep.dir).absolute()

    def groups(self, jobs: list[Job]) -> list[list[Job]]:
        """The stacks; those that a cluster has already come first."""
        there = self.cluster.under_way(jobs, self.sweep) if self.cluster else []
        numbers = {job.number for stack in there for job in stack}
        return [*there, *self.stacks([job for job in jobs if job.number not in numbers])]

    def stacks(self, jobs: list[Job]) -> list[list[Job]]:
        from nglab.sweeps.grouping import group  # torch: seconds

        configs = [job.config for job in jobs]
        if self.cluster:
            groups = group(configs, self.memory, self.cache, self.processes or 1)
        else:
            self.processes = self.processes or useful_processes(c.device for c in configs)
            groups = group(configs, self.memory / self.processes, self.cache, self.processes)
        return [[jobs[i] for i in members] for members in groups]

    def run_all(self, groups: list[list[Job]]) -> Iterator[list[JobReturn]]:
        """The stacks, several at a time, then the others; what comes back is in the order of `groups`."""
        if self.cluster:
            return iter(self.run_on(self.cluster, groups) if groups else [])
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

    def run_on(self, cluster: Cluster, groups: list[list[Job]]) -> list[list[JobReturn]]:
        """Hand over those that the cluster does not have yet, and wait for all."""
        there = copy(self)  # as a node has it
        there.cluster = None
        if new := groups[len(cluster.has) :]:
            threads = cluster.asks.cpus_per_task
            cluster.hand_over(new, [Stack(there, jobs, threads) for jobs in new], self.sweep)
        return cluster.results()

    def run(self, jobs: list[Job], beside_others: bool = False) -> list[JobReturn]:
        if len(jobs) == 1 and not beside_others:
            return super().run(jobs)
        log.info("%d jobs trained as one:\n%s", len(jobs), "\n".join(map(str, jobs)))
        opened = [(job, *self.opened(job)) for job in jobs]
        self.log_of_the_sweep()
        begun = [(job, result) for job, result, logs in opened if logs is not None]
        try:
            with also_logging_to(chain(*(logs or [] for _, _, logs in opened))), reported():
                self.train([job for job, _ in begun], beside_others)
        except (InputError, RunFailed) as error:
            for _, result in begun:
                result.status, result.return_value = JobStatus.FAILED, error
        return [result for _, result, _ in opened]

    def train(self, jobs: list[Job], beside_others: bool) -> None:
        from nglab.runs.run import run_together  # torch: seconds

        configs, folders = [job.config for job in jobs], [job.folder for job in jobs]
        if jobs:
            with leaving_refusals(folders, configs):
                run_together(
                    configs,
                    folders,
                    progress=False if beside_others else None,
                    concurrent=beside_others,
                )

    def opened(self, job: Job) -> tuple[JobReturn, list["MemberLog"] | None]:
        """What Hydra does around a job, without the copies that `run_job` makes: its folder, with .hydra/, and its log.

        None for the log where there is nothing to train: it is refused, or finished. The callbacks of others are told
        of its end at once: they know one job at a time.
        """
        cfg, result = job.composed, done()
        callbacks = cast(JobCallbacks, self.context.callbacks)
        configure_log(cfg.hydra.job_logging, cfg.hydra.verbose)
        callbacks.on_job_start(config=cfg, task_function=self.task)
        callbacks.on_job_end(config=cfg, job_return=result)
        if callbacks.hindrance:
            return failed(callbacks.hindrance, job.overrides), None
        logs = [MemberLog(job.folder, file) for file in own_logs()]
        return result, logs if callbacks.begins else None


def brought(jobs: Sequence[Job], results: list[JobReturn] | Lost) -> list[JobReturn]:
    """The results of a stack, failures where its process was lost."""
    if not isinstance(results, Lost):
        return results
    named = ", ".join(f"#{job.number} {job.folder}" for job in jobs)
    error = RunFailed(f"{results}: {named}: the same again goes on")
    log.error("%s", error)
    return [failed(error, job.overrides) for job in jobs]


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
