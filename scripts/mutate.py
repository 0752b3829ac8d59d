"""Mutation testing of the core, with the mutants of cosmic-ray.

    python scripts/mutate.py               every mutant: a day or two
    python scripts/mutate.py 200           200 of them, drawn with seed 0: half an hour
    python scripts/mutate.py 200 7         drawn with seed 7
    python scripts/mutate.py again         those that survived the last time, after a test was added

A mutant is a change of one operator, number, keyword or loop in a module of `NEAR`. In a copy of the repository the
tests nearest to it are run, the module's own first, until one fails: then it is killed. Prints the score by room and
what survived. `outputs/mutation.sqlite` is a session of cosmic-ray, for `cr-report --show-diff` and `cr-html`.
"""

import difflib
import importlib
import os
import random
import re
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from cosmic_ray.commands import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

OF_NGD = ["tests/optimizers/test_ngd.py", "tests/optimizers/test_ngd_parts.py"]
OF_KRYLOV = ["tests/optimizers/test_krylov.py", "tests/optimizers/test_hessian_free.py"]
NEAR = {
    "nglab/networks": ["tests/networks", "tests/curvature/test_operators.py"],
    "nglab/curvature": ["tests/curvature", *OF_NGD],
    "nglab/curvature/damping": ["tests/curvature/damping", *OF_NGD],
    "nglab/curvature/solvers": ["tests/curvature/solvers", *OF_NGD],
    "nglab/optimizers": [
        *OF_NGD,
        "tests/optimizers/test_ngd_exact.py",
        "tests/optimizers/test_sgd.py",
    ],
    "nglab/optimizers/first_order": [
        "tests/optimizers/test_first_order.py",
        "tests/optimizers/test_torch_optim.py",
    ],
    "nglab/optimizers/krylov_methods": OF_KRYLOV,
    "nglab/optimizers/matrix": ["tests/optimizers/matrix"],
    "nglab/optimizers/schedules": ["tests/optimizers/schedules"],
    "nglab/optimizers/steps": ["tests/optimizers/steps", *OF_NGD],
    "nglab/training": ["tests/training", "--ignore=tests/training/test_cuda_graph.py"],
}
"""What is mutated, and the tests that are run after those of the module's own name."""

LEFT_OUT = re.compile(
    r"RemoveDecorator"  # no dataclass, no property: nothing works
    r"|BitOr_|Operator_\w+_(LShift|RShift|BitOr|BitAnd|BitXor)$"  # in annotations; of numbers that are not whole
    r"|ComparisonOperator_(?!Is)\w+_Is(Not)?$"
)
"""Operators of cosmic-ray whose mutants fail wherever they are imported."""

LOADED = (
    "nglab",
    "torch",
    "torch.func",
    "numpy",
    "pandas",
    "pydantic",
    "scipy.integrate",
    "hydra",
    "matplotlib.figure",
)
"""What a child need not import again: nglab before torch, without its rooms."""

LIMIT = 60
"""Seconds of the processor after which a mutant counts as killed."""

ROOT = Path(__file__).resolve().parents[1]
SESSION = ROOT / "outputs" / "mutation.sqlite"
NOT_COPIED = (".git", ".venv", "outputs", "site", "dist", "__pycache__", ".*_cache")


def main(arguments: Sequence[str]) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.dont_write_bytecode = True  # a mutant may be as old and as long as the one before
    SESSION.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "nglab"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        for name in LOADED:
            importlib.import_module(name)
        with use_db(SESSION) as session:
            items = (
                survivors(session)
                if arguments == ["again"]
                else drawn(session, *map(int, arguments))
            )
            nearest = {test: None for room in map(room_of, items) for test in NEAR[room]}
            if not passes([*nearest]):
                sys.exit("the tests fail without a mutant")
            for number, item in enumerate(items, 1):
                session.set_result(item.job_id, tried(item))
                print(f"\r{number} of {len(items)}", end="", flush=True)
            report(session)


def drawn(session: WorkDB, count: int | None = None, seed: int = 0) -> list[WorkItem]:
    """A new session's mutants: all, or `count` of them."""
    init(sorted(set(find_modules(map(Path, NEAR)))), session, {})
    items = [i for i in session.work_items if not LEFT_OUT.search(i.mutations[0].operator_name)]
    items.sort(key=lambda item: place(item.mutations[0]))
    return items if count is None else random.Random(seed).sample(items, count)


def survivors(session: WorkDB) -> list[WorkItem]:
    return [item for item, result in session.completed_work_items if not result.is_killed]


def place(spec: MutationSpec) -> tuple[str, tuple[int, int], str, int]:
    return str(spec.module_path), spec.start_pos, spec.operator_name, spec.occurrence


def tried(item: WorkItem) -> WorkResult:
    """What becomes of a mutant."""
    spec = item.mutations[0]
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    with use_mutation(spec.module_path, operator, spec.occurrence) as (before, after):
        alive = passes([*own_tests(spec.module_path), *NEAR[room_of(item)]])
    name = str(spec.module_path)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), name, name, lineterm="", n=1
    )
    outcome = TestOutcome.SURVIVED if alive else TestOutcome.KILLED
    return WorkResult(WorkerOutcome.NORMAL, test_outcome=outcome, diff="\n".join(lines))


def own_tests(module: Path) -> list[str]:
    return [str(file) for file in sorted(Path("tests").rglob(f"test_{module.stem}.py"))]


def room_of(item: WorkItem) -> str:
    """The key of NEAR that a mutant belongs to."""
    return str(item.mutations[0].module_path.parent)


def passes(tests: Sequence[str]) -> bool:
    """Whether they do, in a process of their own that has torch already."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
    return os.waitpid(child, 0)[1] == 0


def report(session: WorkDB) -> None:
    """The score by room, and the survivors' diffs."""
    results = [pair for pair in session.completed_work_items if pair[1].diff]
    total = Counter(room_of(item) for item, _ in results)
    alive = Counter(room_of(item) for item in survivors(session))
    print()
    for room in sorted(total):
        print(score(room, total[room], alive[room]))
    print(score("all", total.total(), alive.total()))
    for _, result in sorted(results, key=lambda pair: place(pair[0].mutations[0])):
        if not result.is_killed:
            print(f"\n{result.diff}")


def score(what: str, count: int, alive: int) -> str:
    return f"{what}: {count - alive} of {count} killed, {100 * (count - alive) / count:.1f} %"


if __name__ == "__main__":
    main(sys.argv[1:])
