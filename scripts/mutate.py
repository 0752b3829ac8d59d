"""Mutation testing of the core: python scripts/mutate.py [COUNT [SEED]]

Every change of one operator, number or argument that mutmut makes in `[tool.mutmut]`'s modules, or COUNT of them drawn
with SEED, is tried against the tests that reach it. Prints the score; `outputs/mutation.md` lists what survived.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

MADE = Path("mutants/nglab")
REPORT = Path("outputs/mutation.md")
SMALL = "nglab.networks.initial.*"  # what the first call tries, to have all mutants made
SURVIVED, UNTESTED = 0, 33  # mutmut's exit codes: all tests passed; no test reaches it


def main(arguments: Sequence[str]) -> None:
    mutmut("run", SMALL)
    names = sorted(results())
    if arguments:
        seed = int(arguments[1]) if len(arguments) > 1 else 0
        names = sorted(random.Random(seed).sample(names, min(int(arguments[0]), len(names))))
        mutmut("run", *names)
    else:
        mutmut("run")
    found = results()
    print(report({name: found[name] for name in names}))


def mutmut(*words: str) -> str:
    """What it says; it ends with an error where the tests fail without a mutant."""
    made = subprocess.run(["mutmut", *words], check=False, text=True, stdout=subprocess.PIPE)
    if made.returncode:
        sys.exit(made.stdout)
    return made.stdout


def results() -> dict[str, int | None]:
    """Each mutant's exit code, None where it was not tried."""
    return {
        name: code
        for file in MADE.rglob("*.meta")
        for name, code in json.loads(file.read_text())["exit_code_by_key"].items()
    }


def report(tried: dict[str, int | None]) -> str:
    """The score, by module too; the survivors go to REPORT."""
    alive = [name for name, code in tried.items() if code in (SURVIVED, UNTESTED, None)]
    lines = [score("all", len(tried), len(alive))]
    total, left = (Counter(map(module_of, names)) for names in (tried, alive))
    lines += [score(module, total[module], left[module]) for module in sorted(total)]
    REPORT.parent.mkdir(exist_ok=True)
    shown = "\n".join(f"## {name}\n\n```diff\n{mutmut('show', name)}```\n" for name in alive)
    REPORT.write_text("\n".join([*lines, "", shown]))
    return "\n".join([*lines, *alive])


def module_of(name: str) -> str:
    """The module of a mutant: its name less the function's."""
    return name.rpartition(".")[0]


def score(what: str, count: int, alive: int) -> str:
    return f"{what}: {count - alive} of {count} killed, {100 * (count - alive) / count:.1f} %"


if __name__ == "__main__":
    main(sys.argv[1:])
