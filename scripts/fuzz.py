"""Random command lines, a third of them over damaged folders: what the command line must never do.

    python scripts/fuzz.py 1000          the cases 0 to 999; exit status 1 where one fails
    python scripts/fuzz.py 1000 417      case 417 alone, what it says shown

No traceback; exit status 0 or 2 (1: `check` finds damage, a disk is full); nothing trained or measured before a
refusal; a refusal changes nothing, and no command changes what a finished run has left. Training, claims and
measurements are replaced by what counts them.
"""

import hashlib
import logging
import os
import random
import shlex
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

from nglab import cli

TINY = ["arch=mlp", "arch.widths=[4,3,4]", "data.train_examples=40", "data.test_examples=10",
        "optimizer.batch_size=20", "train.passes=1", "device=cpu"]  # fmt: skip
KEYS = ["seed", "dtype", "device", "arch", "arch.widths", "arch.activation", "arch.bias", "data", "data.train_examples",
        "data.noise_variance", "likelihood", "optimizer", "optimizer.lr", "optimizer.batch_size", "optimizer/schedule",
        "optimizer.metric.split", "optimizer.metric.solver", "optimizer/damping", "optimizer.damping.initial",
        "optimizer/step_rule", "train.passes", "train.eval_every_examples", "train.checkpoint_every", "train.average",
        "train.cuda_graph", "init.gain", "init", "train", "sede", "optimizer.lrr", "data.root", "experiment",
        "arch._target_", "optimizer._target_", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "out",
        "hydra/launcher", "hydra.launcher.processes", "hydra.launcher.memory_gib", "hydra.launcher.cache_mib",
        "hydra.launcher.alone", "hydra.sweeper.max_batch_size", "hydra.job.name", "hydra.verbose", "hydra.mode",
        "hydra.output_subdir", "hydra.job.chdir", "hydra/sweeper", "hydra.sweeper.n_trials", "hydra.nope"]  # fmt: skip
VALUES = ["", "0", "1", "2", "-1", "1.5", "1e-8", "nan", "inf", "1e400", "9" * 30, "abc", "true", "null", "[]", "[1]",
          "[4,4]", "[[20],20]", "{}", "{a:1}", "${nope}", "${seed}", "${hydra:job.num}", "${now:%Y}", "0,1", "1,abc",
          "range(0,0)", "range(0,3)", "range(3)", "interval(0,1)", "glob(*)", "glob(x*)", "choice(1,2)", "choice()",
          "a=b", "été/#", "'x y'", "\"", "(", "\\", "x" * 300, ".", "..", "/proc/x", "/dev/full", "file", "link", "new",
          "runs/0", "runs/1", "runs/stopped", "sweep", "???", "sgd", "ngd", "sgd,ngd", "square", "teacher", "cosine",
          "line", "csv", "lr<0.5", "status=finished", "pi", "relu", "float32", "cpu", "cuda:7", "stacked", "sequential",
          "MULTIRUN", "optuna", "mine.Nope"]  # fmt: skip
FLAGS = [["-m"], ["--cfg", "job"], ["--cfg", "all"], ["--cfg", "nope"], ["--resolve"], ["--info"], ["--help"],
         ["--info", "config"], ["--config-dir", "nosuch"], ["--config-dir", "mine"], ["--config-name", "nosuch"],
         ["-p", "nope"], ["--hydra-help"], ["-c"], ["--nope"], ["-sc", "query=bash"]]  # fmt: skip
OTHERS = {
    "list": ["where", "sort", "columns"], "report": ["out", "where", "target"], "export": ["to", "out", "where"],
    "collect": ["out"], "plot": ["out"], "check": [], "figure2": ["out"], "claims": ["claims", "out"],
    "after": ["claims", "out"], "gain": ["panels", "seeds", "out", "panel.A.gains", "panel.A", "panel"],
    "batch_size": ["panels", "seeds", "out", "panel.A.passes", "panel.A.methods", "panel"],
    "figure1": ["preset", "panels", "seeds", "out", "panel.A.rates", "panel.A", "panel", "presets", "linear_rates"],
    "race": ["preset", "methods", "problems", "seeds", "beside", "out", "config-dir", "problem.A.passes", "problem",
             "tuned_for", "first_tuning_seed", "hydra/launcher", "hydra.launcher.processes"],
    "bench": ["what", "panels", "rounds", "seeds.A", "seeds", "threads", "dtype", "blas", "out"],
    "completion": [], "nope": [],
}  # fmt: skip
PLACES = ["runs", "runs/0", "sweep", ".", "file", "nosuch", "link", "x" * 300, "/proc/x", "empty"]
RECORDS = [
    "metrics.csv",
    "summary.json",
    "run.json",
    ".hydra/config.yaml",
    ".hydra/overrides.yaml",
    "checkpoint.pt",
]
JUNK = [
    b"",
    b"[1]",
    b"null",
    b"text",
    b"{",
    b"\xff\xfe\x00",
    b"a: ${nope}\n",
    b"step,test_loss\n1,text\n",
    b"3\n",
    b"{}",
]


@dataclass
class Seen:
    """What a command line did."""

    status: Any = None
    shown: str = ""
    raised: str = ""
    worked: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    count, chosen = int(arguments[0]), [int(word) for word in arguments[1:]]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "standing")
        for number in chosen or range(count):
            words, seen, faults = case(number, Path(folder) / "standing")
            failures += bool(faults)
            if faults or chosen:
                print(
                    f"{number}: nglab {shlex.join(words)}\n  {'; '.join(faults)}\n{seen.raised or seen.shown}"
                )
    print(f"{failures} of {len(chosen) or count} cases failed")
    return min(failures, 1)


def case(number: int, standing: Path) -> tuple[list[str], Seen, list[str]]:
    """One case in a copy of what `standing` holds: its command line, what it did, and what is wrong with that."""
    rng, folder = random.Random(number), standing.with_name("case")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(standing, folder, symlinks=True)
    words = command_line(rng)
    if rng.random() < 0.33:
        damage(rng, folder)
    with working_in(folder):
        before = tree(folder)
        seen = obey(words)
        return words, seen, wrong(words[0], seen, before, tree(folder))


def wrong(command: str, seen: Seen, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What the command must not have done."""
    changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    sacred = [
        p for p in changed if p in before and p.startswith(("runs/0/", "runs/1/", "sweep/0/"))
    ]
    may_be_1 = command == "check" or "No space left" in seen.shown
    refused, traceback_shown = seen.status not in (0, 1), "Traceback (most" in seen.shown
    return [
        text
        for text, is_so in {
            f"raised: {seen.raised.strip().splitlines()[-1:]}": bool(seen.raised),
            "shows a traceback": traceback_shown,
            f"status {seen.status}": seen.status not in ((0, 1, 2) if may_be_1 else (0, 2)),
            f"worked before it refused: {seen.worked}": refused and bool(seen.worked),
            f"refused, and changed {sorted(changed)[:4]}": refused and bool(changed),
            f"a finished run's {sacred[:4]} changed": bool(sacred),
        }.items()
        if is_so
    ]


def command_line(rng: random.Random) -> list[str]:
    if rng.random() < 0.65:
        words = ["run", *(TINY if rng.random() < 0.9 else [])]
        words += [override(rng, KEYS) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))]
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            words += rng.choice(FLAGS)
        if not any(
            word.lstrip("-").startswith(("out", "hydra.run", "hydra.sweep.dir")) for word in words
        ):
            words += [f"out={rng.choice(['new', 'sweep', 'runs/0', 'runs/stopped', 'runs/cut'])}"]
        return words
    command = rng.choice(list(OTHERS))
    words = [
        override(rng, OTHERS[command]) for _ in range(rng.randint(0, 2) if OTHERS[command] else 0)
    ]
    places = [rng.choice(PLACES) for _ in range(rng.randint(0, 2))]
    return [
        command,
        *(
            places
            if command in ("list", "report", "export", "collect", "plot", "check", "nope")
            else []
        ),
        *words,
    ]


def override(rng: random.Random, keys: Sequence[str]) -> str:
    sign = rng.choice(["", "", "", "", "", "+", "++", "~", "--"])
    return f"{sign}{rng.choice(keys)}={rng.choice(VALUES)}"


def damage(rng: random.Random, folder: Path) -> None:
    """One file of a run, cut, filled with junk, or replaced by a folder or a dangling link; or all of it gone."""
    file = (
        folder / rng.choice(["runs/0", "runs/cut", "runs/stopped", "sweep/0"]) / rng.choice(RECORDS)
    )
    kept = file.read_bytes() if file.is_file() else b""
    file.unlink(missing_ok=True)
    how = rng.randrange(5)
    if how == 0:
        file.mkdir()
    elif how == 1:
        file.symlink_to("nowhere")
    elif how == 2:
        file.write_bytes(kept[: rng.randrange(len(kept) + 1)])
    elif how == 3:
        file.write_bytes(rng.choice(JUNK))


def tree(folder: Path) -> dict[str, str]:
    """Every path below a folder, with a hash of what it holds."""
    return {str(path.relative_to(folder)): content(path) for path in sorted(folder.rglob("*"))}


def content(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


def obey(words: Sequence[str]) -> Seen:
    """`nglab WORDS` in this process."""
    seen, out = Seen(), TextIOWrapper(BytesIO(), encoding="utf-8")
    with undisturbed(), counted(seen.worked), redirect_stdout(out), redirect_stderr(out):
        try:
            seen.status = cli.main(list(words))
        except SystemExit as left:
            seen.status = 0 if left.code is None else left.code
        except BaseException:
            seen.raised = traceback.format_exc()
    out.flush()
    seen.shown = out.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]
    return seen


@contextmanager
def counted(worked: list[str]) -> Iterator[None]:
    """Training, claims and measurements noted down instead of done; a run gets two rows."""
    import nglab.bench.suite
    import nglab.claims.claims_table
    import nglab.figures.figure1.compute_figure1
    import nglab.figures.figure2.compute_figure2
    import nglab.figures.race.compute_race
    import nglab.figures.swept
    import nglab.runs.run

    class Done(SystemExit):
        """Where work would have begun."""

    def stop(*arguments: Any, **more: Any) -> Any:
        worked.append("work")
        raise Done(0)

    def train(problem: Any, config: Any, records: Any, *arguments: Any) -> None:
        worked.append("training")
        for record in records:
            for step, loss in enumerate((1.0, 0.5)):
                record.write(dict.fromkeys(record.columns, float(step)) | {"test_loss": loss})

    places = [
        (nglab.runs.run, "build_for", lambda *_: None),
        (nglab.runs.run, "train_and_write", train),
        (nglab.figures.figure1.compute_figure1, "run_race", stop),
        (nglab.figures.figure2.compute_figure2, "compute", stop),
        (nglab.figures.race.compute_race, "run_race", stop),
        (nglab.figures.swept, "swept", stop),
        (nglab.claims.claims_table, "rows_of", stop),
        (nglab.bench.suite, "workers", stop),
    ]
    patches = [patch.object(module, name, new) for module, name, new in places]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


@contextmanager
def undisturbed() -> Iterator[None]:
    """What a command sets for its process is put back."""
    root, argv, path = logging.getLogger(), sys.argv, list(sys.path)
    handlers, level, variables = root.handlers[:], root.level, dict(os.environ)
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path
        for name in ("nglab", "nglab.figures"):
            logging.getLogger(name).handlers.clear()
        for handler in set(root.handlers) - set(handlers):
            with suppress(OSError, ValueError):
                handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        os.environ.clear()
        os.environ.update(variables)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    here = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def build(folder: Path) -> None:
    """What stands before every case: runs that are finished, one stopped, one cut off, a sweep, a file, a link."""
    folder.mkdir(parents=True)
    with working_in(folder):
        for command in (
            ["run", *TINY, "out=runs/0"],
            ["run", *TINY, "seed=1", "out=runs/1"],
            ["run", *TINY, "train.checkpoint_every=20", "out=runs/stopped"],
            ["run", *TINY, "out=runs/cut"],
            ["run", "-m", *TINY, "seed=0,1", "out=sweep"],
        ):
            with undisturbed(), redirect_stdout(StringIO()):
                status = cli.main(command)
            assert status == 0, command
        for name in ("runs/stopped/summary.json", "runs/cut/summary.json", "runs/cut/loss.png"):
            Path(name).unlink()
        Path("file").touch()
        Path("empty").mkdir()
        Path("link").symlink_to("nowhere")
        Path("mine/arch").mkdir(parents=True)
        Path("mine/arch/thin.yaml").write_text("{name: thin, widths: [5, 1, 5], activation: relu}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
