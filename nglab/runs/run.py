"""Configuration → objects → training → records. Below this module no configuration object is seen."""

import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from nglab.data.batches import steps_of
from nglab.errors import InputError
from nglab.runs.build import build_each
from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.checkpoint_file import remove
from nglab.runs.config import Config
from nglab.runs.device import check_device, resolve_device
from nglab.runs.folder import RecordWriter, is_complete, settled
from nglab.runs.keeper import Keeper
from nglab.runs.ownership import begins_anew, timeless, working_in, write_owner
from nglab.runs.picture import draw
from nglab.runs.progress import Progress
from nglab.runs.provenance import circumstances
from nglab.runs.signals import Signals, holding
from nglab.runs.table import read_owner, read_rows
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

    Returns the summary. A run whose loss leaves the finite numbers, or ends at several times its start, has status
    "diverged". An interrupted or failing run leaves its rows and its status, then raises; what it or a killed one left
    is taken up from its last checkpoint, or begun anew; where all rows are there the summary alone is written.
    A signal that asks it to end makes a checkpoint (`signals`).
    `progress`: a bar on the terminal (None: only where there is one).
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
    with holding() as signals, working_in(folders, [config.described() for config in configs]):
        records = [
            RecordWriter(folder, facts(config, len(configs), concurrent), columns(config))
            for config, folder in zip(configs, folders, strict=True)
        ]
        return begin_or_go_on(configs, records, signals, progress)


def begin_or_go_on(
    configs: Sequence[Config],
    records: Sequence[RecordWriter],
    signals: Signals,
    progress: bool | None,
) -> list[dict[str, Any]]:
    """Train from the checkpoint that there is, or from the start, to the summaries.

    Results come before pictures, and the checkpoint goes last.
    """
    settings = [config.described() for config in configs]
    folder, every = records[0].folder, configs[0].train.checkpoint_every
    checkpoint = CheckpointFile(folder, list(map(timeless, settings)), every)
    keeper = Keeper(checkpoint, records, signals)
    anew = begins_anew(folder, settings[0])
    trained = not anew and all(map(take_rows, records, configs))
    saved = None if trained or anew else checkpoint.read()
    if trained:
        log.info("trained to the end already")
    else:
        begin(records, settings, saved)
    try:
        for record, config in zip(records, configs, strict=True):
            record.minimum_loss = config.data.minimum_loss(config.arch, config.likelihood)
        if not trained:
            snapshot = saved["loop"] if saved else None
            train_and_write(build_for(configs), configs[0], records, keeper, snapshot, progress)
        for record in records:
            conclude(record)
        for record in records:
            draw(record.folder, record.rows, record.minimum_loss, record.facts)
    except BaseException as error:
        interrupted = signals.ending or isinstance(error, KeyboardInterrupt)
        why = {} if interrupted else cause(error)
        keeper.give_room()
        for record in (r for r in records if r.summary is None):
            with suppress(OSError):
                record.close("interrupted" if interrupted else "failed", **why)
        raise
    checkpoint.remove()
    return [record.summary for record in records if record.summary is not None]


def cause(error: BaseException) -> dict[str, str]:
    """What the summary of a failed run says: what was wrong with the input, or else the traceback."""
    if isinstance(error, InputError):
        return {"note": str(error)}
    return {"traceback": traceback.format_exc()}


def take_rows(record: RecordWriter, config: Config) -> bool:
    """Whether the run was trained to its end, before a kill left its summary out; then the record has its rows.

    What its summary says of its making is what stands in `run.json`.
    """
    try:
        rows, facts = read_rows(record.folder), read_owner(record.folder)["facts"]
    except (InputError, KeyError):
        return False
    steps = steps_of(config.train.passes, config.data.train_examples, config.optimizer.batch_size)
    if not (facts and is_complete(rows, steps)):
        return False
    record.rows, record.facts = rows, facts
    return True


def begin(
    records: Sequence[RecordWriter],
    settings: Sequence[Mapping[str, Any]],
    saved: dict[str, Any] | None,
) -> None:
    """Each record starts with the rows that were `saved` with the state; without one the folder says who begins."""
    if saved is None:
        remove(records[0].folder)
        for record, own in zip(records, settings, strict=True):
            write_owner(record.folder, own, anew=True, facts=record.facts)
            record.start([])
        return
    log.info("going on from step %d", saved["loop"]["step"])
    for record, rows in zip(records, saved["rows"], strict=True):
        record.start(rows)


def build_for(configs: Sequence[Config]) -> Problem:
    """What is to be trained."""
    problems = build_each(configs)
    return stack(problems) if len(problems) > 1 else problems[0]


def train_and_write(
    problem: Problem,
    config: Config,
    records: Sequence[RecordWriter],
    keeper: Keeper,
    snapshot: dict[str, Any] | None,
    progress: bool | None,
) -> None:
    """Train from `snapshot` or the start, a row an evaluation, until the end or until every loss has blown up.

    A stack goes on without the members whose loss has; a snapshot is of the others. `config` is one of theirs.
    """
    passes, examples = config.train.passes, problem.dataset.train_x.shape[1]
    steps = steps_of(passes, examples, problem.optimizer.batch_size)
    with Progress(steps, progress) as shown:
        while going := members_going(records):
            rest = problem if len(going) == len(records) else part(problem, going)
            evaluations = train(rest, passes, eval_interval(config), snapshot, keeper.between)
            snapshot = write_rows(evaluations, records, keeper, shown)
            if snapshot is None:
                return


def members_going(records: Sequence[RecordWriter]) -> list[int]:
    return [i for i, record in enumerate(records) if not record.blown_up]


def write_rows(
    evaluations: Iterator[Evaluation],
    records: Sequence[RecordWriter],
    keeper: Keeper,
    shown: Progress,
) -> dict[str, Any] | None:
    """Write until a loss blows up; returns what the other members go on from, None at the end or where none is left."""
    going = members_going(records)
    for evaluation in evaluations:
        new = [(records[i], row) for i, row in zip(going, rows_of(evaluation), strict=True)]
        for record, row in new:
            record.take(row)
        sound = [k for k, (record, _) in enumerate(new) if not record.blown_up]
        blown_up = len(sound) < len(new)
        snapshot = partial(evaluation.snapshot, sound if blown_up and sound else None)
        with keeper.saving_when_full(snapshot):
            for record, row in new:
                record.write(row)
            if keeper.checkpoint.due(evaluation.examples_seen):
                keeper.save(snapshot)
        shown.update(evaluation.step, describe(records))
        if blown_up:
            return snapshot() if sound else None
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
    last, status = record.rows[-1]["test_loss"], "finished" if settled(record.rows) else "diverged"
    note = record.close(status)["note"]
    extra = {"folder": record.folder}  # for the log of this run alone
    said = f"{status} ({note})" if note else status
    log.info("%s: test loss %.4g, %s", said, last, record.folder, extra=extra)


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
