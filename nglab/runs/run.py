"""Configuration → objects → training → records. Below this module no configuration object is seen."""

import logging
import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from nglab.runs.build import build_each
from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.config import Config
from nglab.runs.device import check_device, resolve_device
from nglab.runs.folder import RecordWriter
from nglab.runs.ownership import timeless, working_in, write_owner
from nglab.runs.picture import draw
from nglab.runs.progress import Progress
from nglab.runs.provenance import circumstances
from nglab.runs.status import CHECKPOINT
from nglab.training.clock import step_threads
from nglab.training.evaluation import SHARED, Evaluation, columns_of
from nglab.training.loop import train
from nglab.training.problem import Problem
from nglab.training.replicas import part, stack

log = logging.getLogger(__name__)


def run(
    config: Config, folder: Path, progress: bool | None = None, concurrent: bool = False
) -> dict[str, Any]:
    """Train what `config` names and leave `metrics.csv`, `summary.json` and `loss.png` in `folder`.

    Returns the summary. A run whose loss leaves the finite numbers, or ends above its start, has status "diverged".
    An interrupted or failing run leaves its rows and its status, then raises; what it or a killed one left is taken up
    from its last checkpoint, or begun anew. `progress`: a bar on the terminal (None: only where there is one).
    `concurrent`: other runs may be on the machine at the same time, which the summary then says.
    Raises InputError, before any work, where the folder is another run's (`ownership.standing`) or holds a result
    already, or the GPU asked for is not here.
    """
    return run_together([config], [folder], progress, concurrent)[0]


def run_together(
    configs: Sequence[Config],
    folders: Sequence[Path],
    progress: bool | None = None,
    concurrent: bool = False,
) -> list[dict[str, Any]]:
    """Train several configurations as one stack; each leaves in its folder what `run` would have left there.

    They share the clock: each one's `train_seconds` are those of all, and its summary says how many they were
    (`stacked`). Raises as `run` does, and InputError where the configurations cannot be stacked.
    """
    for config in configs:
        check_device(config.device, config.train.cuda_graph)
    with working_in(folders, [config.described() for config in configs]):
        records = [
            RecordWriter(folder, facts(config, len(configs), concurrent), columns(config))
            for config, folder in zip(configs, folders, strict=True)
        ]
        return begin_or_go_on(configs, records, progress)


def begin_or_go_on(
    configs: Sequence[Config], records: Sequence[RecordWriter], progress: bool | None
) -> list[dict[str, Any]]:
    """Train from the checkpoint that there is, or from the start, to the summaries."""
    settings = [config.described() for config in configs]
    file, every = records[0].folder / CHECKPOINT, configs[0].train.checkpoint_every
    checkpoint = CheckpointFile(file, list(map(timeless, settings)), every)
    saved = checkpoint.read()
    if saved is None:
        saved = {"rows": [[]] * len(records), "loop": None}
        for record, own in zip(records, settings, strict=True):
            write_owner(record.folder, own, anew=True)
    else:
        log.info("going on from step %d", saved["loop"]["step"])
    for record, rows in zip(records, saved["rows"], strict=True):
        record.start(rows)
    try:
        problem = build_for(configs, records)
        train_and_write(problem, configs[0], records, checkpoint, saved["loop"], progress)
        for record in records:
            conclude(record)
        for record in records:
            draw(record.folder, record.rows, record.minimum_loss, record.facts)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        why = {} if interrupted else {"traceback": traceback.format_exc()}
        for record in (r for r in records if r.summary is None):
            record.close("interrupted" if interrupted else "failed", **why)
        raise
    checkpoint.remove()
    return [record.summary for record in records if record.summary is not None]


def build_for(configs: Sequence[Config], records: Sequence[RecordWriter]) -> Problem:
    """What is to be trained; each record is told its smallest possible loss."""
    problems = build_each(configs)
    for record, config in zip(records, configs, strict=True):
        record.minimum_loss = config.data.minimum_loss(config.arch, config.likelihood)
    return stack(problems) if len(problems) > 1 else problems[0]


def train_and_write(
    problem: Problem,
    config: Config,
    records: Sequence[RecordWriter],
    checkpoint: CheckpointFile,
    snapshot: dict[str, Any] | None,
    progress: bool | None,
) -> None:
    """Train from `snapshot` or the start, a row an evaluation, until the end or until every loss has blown up.

    A stack goes on without the members whose loss has; a snapshot is of the others. `config` is one of theirs.
    """
    passes, examples = config.train.passes, problem.dataset.train_x.shape[1]
    with Progress(round(passes * examples / problem.optimizer.batch_size), progress) as shown:
        while going := members_going(records):
            rest = problem if len(going) == len(records) else part(problem, going)
            evaluations = train(rest, passes, eval_interval(config), snapshot)
            snapshot = write_rows(evaluations, records, checkpoint, shown)
            if snapshot is None:
                return


def members_going(records: Sequence[RecordWriter]) -> list[int]:
    return [i for i, record in enumerate(records) if not record.blown_up]


def write_rows(
    evaluations: Iterator[Evaluation],
    records: Sequence[RecordWriter],
    checkpoint: CheckpointFile,
    shown: Progress,
) -> dict[str, Any] | None:
    """Write until a loss blows up; returns what the other members go on from, None at the end or where none is left."""
    going = members_going(records)
    for evaluation in evaluations:
        for i, row in zip(going, rows_of(evaluation), strict=True):
            records[i].write(row)
        shown.update(evaluation.step, describe(records))
        sound = [k for k, i in enumerate(going) if not records[i].blown_up]
        members = sound if len(sound) < len(going) else None
        if checkpoint.due(evaluation.examples_seen):
            rows = [record.rows for record in records]
            checkpoint.write({"loop": evaluation.snapshot(members), "rows": rows})
        if members is not None:
            return evaluation.snapshot(members) if sound else None
    return None


def rows_of(evaluation: Evaluation) -> list[dict[str, float]]:
    """Rows of `metrics.csv` from an evaluation, one a network."""
    shared = {
        "step": evaluation.step,
        "examples_seen": evaluation.examples_seen,
        "passes": evaluation.passes,
        "train_seconds": evaluation.train_seconds,
    }
    measured = {
        "train_loss": evaluation.train_loss,
        "test_loss": evaluation.test_loss,
        "learning_rate": evaluation.learning_rate,
        **evaluation.more,
    }
    numbers = zip(*(values.flatten().tolist() for values in measured.values()), strict=True)
    return [shared | dict(zip(measured, row, strict=True)) for row in numbers]


def conclude(record: RecordWriter) -> None:
    """Write the summary of a finished or diverged run."""
    first, last = (record.rows[i]["test_loss"] for i in (0, -1))
    settled = math.isfinite(last) and last <= first
    status = "finished" if settled else "diverged"
    record.close(status)
    extra = {"folder": record.folder}  # for the log of this run alone
    log.info("%s: test loss %.4g, %s", status, last, record.folder, extra=extra)


def describe(records: Sequence[RecordWriter]) -> str:
    """The last row of one run, or the losses of a stack."""
    if len(records) > 1:
        losses = [record.rows[-1]["test_loss"] for record in records if not record.blown_up]
        middle = f", median loss {median(losses):.4g}" if losses else ""
        return f"{len(losses)} of {len(records)} runs{middle}"
    return describe_row(records[0].rows[-1])


def describe_row(row: Mapping[str, float]) -> str:
    own = [f" {name} {value:.3g}" for name, value in row.items() if name not in SHARED]
    return f"loss {row['test_loss']:.4g} α {row['learning_rate']:g}{''.join(own)}"


def eval_interval(config: Config) -> int:
    """Examples between two evaluations: as configured, else a tenth of the training set."""
    return config.train.eval_every_examples or max(1, config.data.train_examples // 10)


def columns(config: Config) -> dict[str, str]:
    """The columns of a run's `metrics.csv`, name → meaning."""
    return columns_of(config.optimizer, config.likelihood, config.train.average is not None)


def facts(config: Config, stacked: int, concurrent: bool) -> dict[str, Any]:
    """What a summary says beside the outcome."""
    threads = step_threads(config.arch, config.optimizer.batch_size, stacked > 1)
    settings = {"dtype": config.dtype, "seed": config.seed, "threads": threads}
    together = {"stacked": stacked, "concurrent": concurrent}
    return circumstances(resolve_device(config.device)) | settings | together
