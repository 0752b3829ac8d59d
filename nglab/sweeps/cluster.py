"""Stacks as jobs of a cluster, by submitit: each is one job of Slurm, put into the queue again when it is stopped.

Below `.submitit` in the sweep's folder lie what the stacks are given, what they bring, and their logs. The command
waits for them. It may end before they do: the same command finds those that are still in the queue.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn

from nglab.errors import InputError
from nglab.runs.folder import write_json
from nglab.runs.status import DONE
from nglab.runs.table import read_columns, status_of
from nglab.sweeps.job import Job, RunFailed
from nglab.sweeps.outcomes import failed, name_failures
from nglab.sweeps.slurm import Slurm, check_tools, queue

if TYPE_CHECKING:
    import submitit

log = logging.getLogger(__name__)

PLACE, NOTES = ".submitit", "stacks.json"
"""In the sweep's folder, what is submitit's, and in that, once for each time that stacks were handed over, which runs'
folders each job of the cluster has to do with."""

PATIENCE_SECONDS = 5.0
"""A job that is not in the queue has so long to show its result: folders that nodes share lag."""

LONGEST_PAUSE = 30.0
"""Seconds between two looks at the queue."""


@dataclass
class Submitted:
    """A stack that the cluster has: its job there, the folders of its runs, and those jobs of this sweep among them."""

    job: "submitit.Job[list[JobReturn]]"
    folders: Sequence[str]
    jobs: list[Job]
    steps: int
    state: str = "PENDING"
    missed_at: float | None = None
    results: list[JobReturn] | None = None

    def look(self, states: Mapping[str, str]) -> None:
        """Take its results where they have come; where it is in no queue and brings none, it has failed."""
        if self.job.paths.result_pickle.name in os.listdir(self.job.paths.folder):
            self.take()
        elif self.job.job_id in states:
            self.state, self.missed_at = states[self.job.job_id], None
        elif self.missed_at is None:
            self.missed_at = time.monotonic()
        elif time.monotonic() - self.missed_at > PATIENCE_SECONDS:
            self.lose()
        if self.results is not None:
            name_failures(self.jobs, self.results)

    def take(self) -> None:
        from submitit.core.utils import UncompletedJobError

        try:
            brought = dict(zip(self.folders, self.job.result(), strict=True))
        except UncompletedJobError:
            return self.lose()
        self.results = [brought[str(job.folder)] for job in self.jobs]

    def lose(self) -> None:
        error = RunFailed(
            f"the cluster's job {self.job.job_id} ended without a result: its log is"
            f" {self.job.paths.stderr}: the same again goes on"
        )
        self.results = [failed(error, job.overrides) for job in self.jobs]

    def steps_taken(self) -> int:
        """As the rows say of the first of its runs that goes on."""
        if self.results is not None:
            return self.steps
        with suppress(InputError):  # a file that is just being written
            for job in self.jobs:
                if (status := status_of(job.folder)) is None:
                    return 0
                if status not in DONE:
                    return int(max(read_columns(job.folder / "metrics.csv")["step"], default=0))
            return self.steps
        return 0


class Cluster:
    """Where stacks are handed over to: Slurm, or submitit's stand-in for it on this machine (`submitit_local`)."""

    def __init__(self, on: str, asks: Slurm, at_most: int | None) -> None:
        self.on, self.asks, self.at_most = on, asks, at_most
        self.has: list[Submitted] = []  # of the sweep in hand, in the order of its groups
        check_tools(on)

    def under_way(self, jobs: Sequence[Job], sweep: Path) -> list[list[Job]]:
        """Those of `jobs` that an earlier command has handed over and that are still in the queue, stack by stack."""
        self.has = []
        notes = list(noted(sweep)) if self.on == "slurm" and jobs else []
        there = {str(job.folder): job for job in jobs}
        states = queue() if notes else {}
        for place, number, folders in notes:
            if number in states and (asked := [there[one] for one in folders if one in there]):
                from submitit import SlurmJob

                job: Any = SlurmJob(place / "%j", number)
                self.has.append(Submitted(job, folders, asked, steps_in(asked[0])))
        if self.has:
            log.info("%d stacks are in the queue already", len(self.has))
        return [stack.jobs for stack in self.has]

    def hand_over(
        self, groups: Sequence[Sequence[Job]], work: Sequence[Callable[[], Any]], sweep: Path
    ) -> None:
        """Each group a job of the cluster, which does its `work`."""
        import submitit

        cluster, place = self.on.removeprefix("submitit_"), new_place(sweep)
        more = {f"{cluster}_max_num_timeout": self.asks.max_num_timeout}
        executor = submitit.AutoExecutor(place / "%j", cluster=cluster, **more)
        executor.update_parameters(**self.asks.parameters(self.at_most))
        with as_input_error(place):
            handed = executor.submit_array(work)
        new = [
            Submitted(job, [str(one.folder) for one in jobs], list(jobs), steps_in(jobs[0]))
            for job, jobs in zip(handed, groups, strict=True)
        ]
        self.has += new
        write_json(place / NOTES, {stack.job.job_id: list(stack.folders) for stack in new})
        log.info("%d stacks handed to %s; their logs: %s", len(new), self.on, place)

    def results(self) -> list[list[JobReturn]]:
        """What the stacks bring, when all have; meanwhile how far they are, in a line."""
        from nglab.runs.progress import Progress  # tqdm

        begun = time.monotonic()
        try:
            with Progress(sum(stack.steps for stack in self.has), None) as shown:
                while left := [stack for stack in self.has if stack.results is None]:
                    self.look_at(left)
                    shown.update(sum(stack.steps_taken() for stack in self.has), self.in_words())
                    if any(stack.results is None for stack in left):
                        past = time.monotonic() - begun
                        time.sleep(min(LONGEST_PAUSE, max(1, past / 20)))
        except KeyboardInterrupt:
            self.say_what_stays()
            raise
        return [stack.results or [] for stack in self.has]

    def look_at(self, stacks: Sequence[Submitted]) -> None:
        try:
            states = self.states(stacks)
        except InputError:  # the controller may be away for a while
            states = {stack.job.job_id: stack.state for stack in stacks}
        for stack in stacks:
            stack.look(states)

    def states(self, stacks: Sequence[Submitted]) -> Mapping[str, str]:
        """What the cluster has not done with."""
        if self.on == "slurm":
            return queue()
        return {stack.job.job_id: "RUNNING" for stack in stacks if not stack.job.done()}

    def in_words(self) -> str:
        states = ["" if stack.results is not None else stack.state for stack in self.has]
        running, over = states.count("RUNNING"), states.count("")
        waiting = len(states) - running - over
        return f"{over} of {len(states)} stacks over, {running} running, {waiting} waiting"

    def say_what_stays(self) -> None:
        if self.on == "slurm":
            left = {s.job.job_id.partition("_")[0] for s in self.has if s.results is None}
            log.info(
                "the stacks stay in the queue: the same command again waits for them;"
                " scancel %s takes them out", " ".join(sorted(left)),
            )  # fmt: skip


def new_place(sweep: Path) -> Path:
    """A folder for what is handed over at once: numbers of jobs may come again, those of processes do."""
    before = sum(1 for _ in (sweep / PLACE).glob("[0-9]*"))
    return sweep / PLACE / str(before)


def noted(sweep: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """Each job of the cluster that this sweep has handed over: its place, its number and the folders of its runs."""
    for file in sorted((sweep / PLACE).glob(f"[0-9]*/{NOTES}")):
        for number, folders in json.loads(file.read_text()).items():
            yield file.parent, number, folders


def steps_in(job: Job) -> int:
    from nglab.data.batches import steps_of  # torch

    config = job.config
    return steps_of(config.train.passes, config.data.train_examples, config.optimizer.batch_size)


@contextmanager
def as_input_error(place: Path) -> Iterator[None]:
    """What sbatch refuses is wrong input, after which nothing of it lies about."""
    from submitit.core.utils import FailedJobError

    try:
        yield
    except FailedJobError as error:
        shutil.rmtree(place, ignore_errors=True)
        what = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"hydra.launcher.slurm: refused by the cluster: {what}") from error
