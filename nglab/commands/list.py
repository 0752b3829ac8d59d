"""list the runs below a folder, their status and result

A condition is KEY, one of = != < <= > >= ~ (contains), and a value. Keys are the columns shown, those of metrics.csv
(the last row), of summary.json and of the configuration, which may be named by their end: lr for optimizer.lr.

examples:
  nglab list
  nglab list outputs/sweeps --where 'optimizer.lr<0.02' --where status=finished --sort test_loss
  nglab list --columns status,optimizer,lr,damping.initial,test_loss,folder --sort=-test_loss
  nglab list outputs/sweeps/mine --watch
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nglab.commands._output import WHERE, say
from nglab.runs.signals import Interrupted
from nglab.settings.dialect import Arguments, read
from nglab.settings.messages import demand

KEYS = {
    "where": WHERE,
    "sort": "the column to sort by; -COLUMN: downwards",
    "columns": "those shown, such as status,lr,test_loss,folder",
    "watch": "looks again every so many seconds until Ctrl-C; --watch alone: every 2",
}
CLEAR = "\x1b[H\x1b[2J"
DAY = 86_400


def command(arguments: list[str]) -> None:
    given = read(
        "list", __doc__ or "", arguments, KEYS, "DIR", several=["where"], alone={"watch": "2"}
    )
    if "watch" in given.settings:
        watch(lambda: look(given), seconds_of(given.settings["watch"]))
    else:
        for line in lines(given, say):
            print(line)


def lines(given: Arguments, say: Callable[[str], object]) -> Iterator[str]:
    """The table; of damaged runs, and where no run is as asked, something is said."""
    from nglab.runs.listing import LISTED, aligned, listing
    from nglab.runs.selection import chosen, in_order, nothing_left
    from nglab.runs.table import whole_runs

    root = Path(*given.positions or ["outputs"])
    columns = [name for name in given.settings.get("columns", "").split(",") if name] or LISTED
    if not given.positions and not any(root.rglob("metrics.csv")):
        yield "no runs yet: `nglab run` leaves its first one below outputs"
        return
    there = whole_runs([root], say)
    records = in_order(chosen(there, given.lists["where"], root), given.settings.get("sort"), root)
    if records:
        yield from aligned(listing(records, root, columns))
    elif there:  # each that is damaged has been named
        say(nothing_left(len(there), given.lists["where"]))


def look(given: Arguments) -> list[str]:
    """The table, and below it what else there is to say."""
    notes: list[str] = []
    shown = list(lines(given, notes.append))
    return [*shown, *(f"nglab: {note}" for note in notes)]


def watch(look: Callable[[], list[str]], seconds: float) -> None:
    """What `look` gives, again and again: in place of the one before on a terminal, which it must fit; until Ctrl-C."""
    terminal = sys.stdout.isatty()
    try:
        while True:
            shown = look()
            print(CLEAR if terminal else "", end="")
            print("\n".join(fitting(shown) if terminal else [*shown, ""]), flush=True)
            time.sleep(seconds)
    except Interrupted:  # another signal
        raise
    except KeyboardInterrupt:
        return


def fitting(shown: list[str]) -> list[str]:
    """The first lines, as many as the terminal has, and how many more there are."""
    room = os.get_terminal_size().lines - 2
    more = len(shown) - room
    return shown if more <= 0 else [*shown[: room - 1], f"… {more + 1} more"]


def seconds_of(word: str) -> float:
    from nglab.runs.selection import number

    seconds = number(word) or 0.0
    demand(0 < seconds <= DAY, "watch", word, "a number of seconds, above 0 and at most a day's")
    return seconds
