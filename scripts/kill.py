"""Kill nglab again and again, start it again and again, and look at what it leaves.

    python scripts/kill.py 100              # a hundred kills, in turn over all ways to start it
    python scripts/kill.py 20 run stacked   # over these

A round starts a command, which is killed (SIGKILL, SIGTERM, SIGINT, SIGUSR1) within training, an evaluation, a
checkpoint or a drawing: the process that is there, the command's, or all of them. It is started again until it ends
well. Then the records must be those of the undisturbed command, nothing else may lie about, no step that a checkpoint
held may have been taken again, and no process may be left.
"""

import csv
import importlib.util
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20", "train.eval_every_examples=500",
         "train.checkpoint_every=700", "train.passes=60"]  # fmt: skip
SWEEP = ["run", "-m", *SMALL, "seed=0,1", "arch.bias=true,false"]
FIGURE = "'data.train_examples=2000','data.test_examples=200','train.checkpoint_every=300'"
WAYS = {
    "run": ["run", *SMALL],
    "sequential": [*SWEEP, "hydra/launcher=sequential"],
    "stacked": [*SWEEP, "hydra/launcher=stacked", "hydra.launcher.processes=2"],
    "basic": [*SWEEP, "hydra/launcher=basic"],
    "figure1": ["figure1", "preset=smoke", "panels=C", "seeds=1",
                f"+panel.C.overrides=[{FIGURE}]"],
    "race": ["race", "preset=smoke", "methods=sgd,ngd", "problems=A", "seeds=1",
             "tuned_for=examples", f"problem.A.overrides=[{FIGURE}]"],
    "joblib": [*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": [*SWEEP, "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5"],
}  # fmt: skip
"""Commands, to which `out=FOLDER` is added."""

BY_OTHERS = ("joblib", "submitit")
"""Their jobs are in interpreters of their own; the other commands are forked from here, with PyTorch loaded."""

POINTS = {  # how often each is passed by a command, about, and what is called there
    "training": (30, ["nglab.training.clock:Clock.__enter__"]),
    "evaluation": (8, ["nglab.training.evaluation:Evaluator.__call__"]),
    "checkpoint": (6, ["nglab.runs.checkpoint:CheckpointFile.write"]),
    "drawing": (2, ["nglab.runs.picture:save_loss_figure", "nglab.plotting.style:save"]),
}
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGUSR1")
WHOM = ("itself", "command", "all")
LONGEST_DELAY = 0.03
ENDS = (0, 1, 129, 130, 137, 138, 143)
OFTENER = 4
"""How much oftener what is forked is killed than what takes seconds to start."""

CLOCKS = ("train_seconds", "seconds")


@dataclass(frozen=True)
class Plan:
    """Where a command is struck: when its process is at `point` for the `count`-th time, `delay` seconds later."""

    point: str
    count: int
    signal: str
    whom: str
    delay: float

    @classmethod
    def drawn(cls, chance: random.Random, point: str, number: str) -> "Plan":
        count = chance.randint(1, POINTS[point][0])
        return cls(point, count, number, chance.choice(WHOM), chance.uniform(0, LONGEST_DELAY))

    def __str__(self) -> str:
        where = f"{self.point} {self.count} + {1000 * self.delay:.0f} ms"
        return f"{self.signal} to {self.whom} at {where}"


# --- in the processes that are struck ---


def sabotage(plan: Plan | None, notes: Path) -> None:
    """From now on this process is struck as planned, once among all that share `notes`, and notes its training."""
    if plan:
        strike = Strike(plan, notes / "struck")
        for place in POINTS[plan.point][1]:
            patch(place, strike.around)
    patch("nglab.runs.run:train_and_write", partial(noting_begin, notes / "trained"))
    patch("nglab.runs.checkpoint:CheckpointFile.write", partial(noting_save, notes / "trained"))


class Strike:
    def __init__(self, plan: Plan, claim: Path) -> None:
        self.plan, self.claim, self.calls = plan, claim, 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def struck(*args: Any, **more: Any) -> Any:
            self.calls += 1
            if self.calls == self.plan.count and claimed(self.claim):
                threading.Timer(self.plan.delay, self.kill).start()
            return function(*args, **more)

        return struck

    def kill(self) -> None:
        number = getattr(signal, self.plan.signal)
        if self.plan.whom == "all":
            os.killpg(0, number)
        else:
            os.kill(os.getpid() if self.plan.whom == "itself" else os.getpgid(0), number)


def claimed(file: Path) -> bool:
    try:
        file.touch(exist_ok=False)
        return True
    except FileExistsError:
        return False


def noting_begin(notes: Path, function: Callable[..., Any]) -> Callable[..., Any]:
    """Note from which step some folders are trained."""

    @wraps(function)
    def noted(*args: Any, **more: Any) -> Any:
        given = signature(function).bind(*args, **more).arguments
        folders = [str(record.folder.resolve()) for record in given["records"]]
        step = given["snapshot"]["step"] if given["snapshot"] else 0
        note(notes, ["began", str(given["keeper"].checkpoint.folder), step, *folders])
        return function(*args, **more)

    return noted


def noting_save(notes: Path, function: Callable[..., Any]) -> Callable[..., Any]:
    """Note which step a checkpoint holds, once it is on disk."""

    @wraps(function)
    def noted(self: Any, content: dict[str, Any]) -> None:
        function(self, content)
        note(notes, ["saved", str(self.folder), content["loop"]["step"]])

    return noted


def note(file: Path, words: list[Any]) -> None:
    with file.open("a") as out:
        out.write(json.dumps(words) + "\n")


def patch(place: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace module:name by `make(what it was)`, now or when the module is imported."""
    name, _, path = place.partition(":")

    def replace(module: ModuleType) -> None:
        *outer, last = path.split(".")
        owner: Any = module
        for one in outer:
            owner = getattr(owner, one)
        setattr(owner, last, make(getattr(owner, last)))

    if name in sys.modules:
        replace(sys.modules[name])
    else:
        sys.meta_path.insert(0, AfterImport(name, replace))


class AfterImport(MetaPathFinder):
    def __init__(self, name: str, action: Callable[[ModuleType], None]) -> None:
        self.name, self.action = name, action

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec and spec.loader
        loader, execute = spec.loader, spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.action(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


# --- starting them ---


def start(way: str, arguments: list[str], plan: Plan | None, notes: Path) -> int:
    """The command in a process group of its own; its exit status, as a shell has it, when all of it have ended."""
    notes.mkdir(parents=True, exist_ok=True)
    (notes / "struck").unlink(missing_ok=True)
    begin = started_anew if way in BY_OTHERS else forked
    pid = begin(arguments, plan, notes)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    wait_for_group(pid)
    return status if status >= 0 else 128 - status


def forked(arguments: list[str], plan: Plan | None, notes: Path) -> int:
    if pid := os.fork():
        return pid
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdout = sys.stderr = (notes / "said").open("a")
        sabotage(plan, notes)
        from nglab import cli

        status = cli.main(arguments)
    except SystemExit as exit:
        status = int(exit.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


def started_anew(arguments: list[str], plan: Plan | None, notes: Path) -> int:
    """A fresh interpreter, and so are those that it starts: each is sabotaged as it begins."""
    here = Path(__file__).parent
    code = f"import kill, pathlib\nkill.sabotage({plan and 'kill.'}{plan!r}, pathlib.Path({str(notes)!r}))\n"
    (notes / "sitecustomize.py").write_text(code)
    paths = [str(notes), str(here), str(here.parent)]
    with (notes / "said").open("a") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "nglab", *arguments], stdout=said, stderr=said,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, start_new_session=True,
        ).pid  # fmt: skip


def wait_for_group(group: int, seconds: float = 60) -> None:
    """Until no process of it is left; AssertionError where one stays."""
    until = time.monotonic() + seconds
    while left := [*living(group)]:
        assert time.monotonic() < until, f"left behind: {left}"
        time.sleep(0.02)


def living(group: int) -> Iterator[str]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text().rpartition(") ")
            state, _, its_group = rest.split()[:3]
            if int(its_group) == group and state != "Z":
                yield (stat.parent / "cmdline").read_text().replace("\0", " ")[:200]
        except OSError:
            continue


# --- looking at what they leave ---


Record = tuple[str, list[dict[str, str]]]


def records(folder: Path) -> dict[str, Record]:
    """Of each run below `folder` its status and its rows, without their clocks."""
    found = {}
    for file in sorted(folder.rglob("metrics.csv")):
        with file.open(newline="") as lines:
            rows = [
                {k: v for k, v in row.items() if k not in CLOCKS} for row in csv.DictReader(lines)
            ]
        summary = json.loads((file.parent / "summary.json").read_text())
        found[str(file.parent.relative_to(folder))] = summary["status"], rows
    return found


def assert_same(there: Path, undisturbed: Path) -> None:
    """The same records, to rounding where a stack has other members; the same files."""
    a, b = records(there), records(undisturbed)
    assert a.keys() == b.keys(), (a.keys(), b.keys())
    for name, (status, rows) in b.items():
        assert a[name][0] == status, (name, a[name][0])
        assert len(a[name][1]) == len(rows), (name, len(a[name][1]), len(rows))
        for one, other in zip(a[name][1], rows, strict=True):
            assert one.keys() == other.keys()
            for key in one:
                x, y = float(one[key] or "nan"), float(other[key] or "nan")
                same = math.isclose(x, y, rel_tol=1e-9) or (math.isnan(x) and math.isnan(y))
                assert same, (name, key, x, y)
    assert files(there) == files(undisturbed), files(there) ^ files(undisturbed)


def files(folder: Path) -> set[str]:
    """Their names, but for the logs of the launchers of others."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] != ".submitit"}


def assert_nothing_twice(notes: Path) -> int:
    """No folder is trained from a step before one that a checkpoint held; how often it was gone on from one."""
    held: dict[str, int] = {}
    of: dict[str, list[str]] = {}
    again = 0
    for line in notes.read_text().splitlines():
        what, path, step, *folders = json.loads(line)
        if what == "began":
            of[path] = folders
            lost = {f: held[f] for f in folders if held.get(f, 0) > step}
            assert not lost, f"trained from step {step} where checkpoints held {lost}"
            again += step > 0
        else:
            held |= dict.fromkeys(of[path], step)
    return again


# --- rounds ---


def a_round(way: str, plan: Plan, place: Path, undisturbed: Path) -> Counter[str]:
    """Strike a command, then let it end, and look; what there was of what."""
    folder, notes = place / "there", place / "notes"
    command = [*WAYS[way], f"out={folder}"]
    status = start(way, command, plan, notes)
    assert status in ENDS, (status, said(notes))
    struck = (notes / "struck").exists()
    status = start(way, command, None, notes)
    assert status == 0, (status, said(notes))
    assert_same(folder, undisturbed)
    again = assert_nothing_twice(notes / "trained")
    kinds = ["kills", way, plan.point, plan.signal, f"to {plan.whom}"] if struck else []
    return Counter(kinds) + Counter({"starts": 2, "went on from a checkpoint": again})


def said(notes: Path) -> str:
    return (notes / "said").read_text()[-3000:]


def kill(kills: int, ways: Sequence[str], place: Path, seed: int = 0) -> Counter[str]:
    """So many kills, in turn over the ways, the points and the signals; AssertionError where something is not right."""
    chance, total = random.Random(seed), Counter[str]()
    undisturbed = {way: place / way / "undisturbed" for way in ways}
    for way, folder in undisturbed.items():
        notes = place / way / "notes"
        assert start(way, [*WAYS[way], f"out={folder}"], None, notes) == 0, said(notes)
    turns = [way for way in ways for _ in range(1 if way in BY_OTHERS else OFTENER)]
    rounds = Counter[str]()
    while total["kills"] < kills:
        way = turns[rounds.total() % len(turns)]
        cell = rounds[way]
        rounds[way] += 1
        point, number = [*POINTS][cell % 4], SIGNALS[(cell + cell // 4) % 4]
        plan = Plan.drawn(chance, point, number)
        where = place / way / str(cell)
        try:
            counts = a_round(way, plan, where, undisturbed[way])
        except AssertionError as error:
            raise AssertionError(f"{way}, {plan} ({where}): {error}") from error
        total += counts
        print(
            f"{total['kills']:4d} {way}: {plan}{'' if counts['kills'] else ' (never there)'}",
            flush=True,
        )
    return total


def load() -> None:
    """What those that are forked need, before they are."""
    import torch  # noqa: F401

    import nglab.figures.figure1.compute_figure1
    import nglab.runs.run  # noqa: F401


def main(arguments: list[str]) -> None:
    load()
    kills, ways = int(arguments[0]), arguments[1:] or list(WAYS)
    with tempfile.TemporaryDirectory() as place:
        for what, times in kill(kills, ways, Path(place)).most_common():
            print(f"{times:5d} {what}")


if __name__ == "__main__":
    main(sys.argv[1:])
