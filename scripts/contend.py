"""Two and four processes on one folder at once: python scripts/contend.py 50

Each round starts runs, or sweeps, that differ in their rate on one folder, at nearly the same moment. One must own it
and end as it would have ended alone; the others are refused (2), then and when they are started again, and change no
file of the owner's.
"""

import hashlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import kill

COMMANDS = {
    "run": ["run", *kill.SMALL],
    "sequential": ["run", "-m", *kill.SMALL, "seed=0,1"],
    "stacked": ["run", "-m", *kill.SMALL, "seed=0,1", "hydra/launcher=stacked"],
}
RATES = ("0.05", "0.1", "0.15", "0.2")
REFUSED = ("another nglab is at work there", "holds a run already, of another configuration")
LONGEST_DELAY = 0.05


def contend(rounds: int, place: Path, seed: int = 0) -> Counter[str]:
    """Returns how many processes owned their folder and how many were refused; AssertionError where it is not right."""
    chance, total = random.Random(seed), Counter[str]()
    for number in range(rounds):
        way = [*COMMANDS][number % len(COMMANDS)]
        rates = RATES[: 2 if number % 2 else 4]
        delays = [chance.uniform(0, LONGEST_DELAY) for _ in rates]
        folder = place / str(number) / "there"
        winner = a_round(way, rates, delays, folder)
        alone = place / f"{way} {winner} alone"
        if not alone.exists():
            assert ended([begun(way, winner, alone, place / "notes")]) == [0]
        kill.assert_same(folder, alone)
        total += Counter(
            {"owners": 1, "refused at once": len(rates) - 1, "refused later": len(rates) - 1}
        )
    return total


def a_round(way: str, rates: tuple[str, ...], delays: list[float], folder: Path) -> str:
    """The rate of the one that owned `folder`."""
    notes = [folder.parent / f"notes {rate}" for rate in rates]
    started = []
    for rate, delay, own in zip(rates, delays, notes, strict=True):
        time.sleep(delay)
        started.append(begun(way, rate, folder, own))
    ends = ended(started)
    assert sorted(ends) == [0] + [2] * (len(rates) - 1), (way, ends, [*map(kill.said, notes)])
    winner = rates[ends.index(0)]
    others = [(rate, own) for rate, own in zip(rates, notes, strict=True) if rate != winner]
    before = fingerprint(folder)
    assert ended([begun(way, rate, folder, own) for rate, own in others]) == [2] * len(others)
    assert fingerprint(folder) == before
    for _, own in others:
        assert any(refusal in kill.said(own) for refusal in REFUSED), kill.said(own)
    return winner


def begun(way: str, rate: str, folder: Path, notes: Path) -> int:
    notes.mkdir(parents=True, exist_ok=True)
    return kill.forked([*COMMANDS[way], f"optimizer.lr={rate}", f"out={folder}"], None, notes)


def ended(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """Of every file when it was last written, and what it holds."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main(arguments: list[str]) -> None:
    kill.load()
    with tempfile.TemporaryDirectory() as place:
        for what, times in contend(int(arguments[0]), Path(place)).items():
            print(f"{times:5d} {what}")


if __name__ == "__main__":
    main(sys.argv[1:])
