"""The command line. A subcommand is a module of `nglab/commands`; nothing heavy is imported until one is run."""

import logging
import os
import sys
from importlib import import_module
from io import TextIOWrapper

from nglab import __version__
from nglab.commands import commands, summaries
from nglab.errors import InputError
from nglab.memory import collect_rarely, keep_freed_memory
from nglab.runs.signals import ending_by_exception, exit_status
from nglab.settings.messages import near

HELP = """\
usage: nglab COMMAND ...

A laboratory for natural-gradient descent.

commands:
{commands}

  nglab COMMAND --help    what a command takes, with examples
  nglab --version

examples:
  nglab run arch=bottleneck optimizer=ngd
  nglab run -m arch=square optimizer=sgd optimizer.lr=0.01,0.02,0.04
  nglab list
  nglab figure1 preset=smoke
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; status: 0, 1 (a run failed, a full disk), 2 (wrong input), 128 + a signal (130: Ctrl-C)."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # spinning long, threads starve each other
    keep_freed_memory()
    collect_rarely()
    show_what_can_be_shown()
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no error
    command, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        status = outcome(command, arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def outcome(command: str, arguments: list[str]) -> int:
    """Do what is asked and say in a line why it could not be done; the exit status."""
    try:
        return obey(command, arguments)
    except InputError as error:
        print(f"nglab: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, a folder that vanished
        where = f"{error.filename}: " if error.filename else ""
        print(f"nglab: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("nglab: interrupted", file=sys.stderr)
        return exit_status(error)


def obey(command: str, arguments: list[str]) -> int:
    """Do what is asked; 0, or 1 where a run or a claim failed."""
    if command in ("-h", "--help"):
        listed = [f"  {name:12}{summary}" for name, summary in summaries()]
        print(HELP.format(commands="\n".join(listed)), end="")
    elif command == "--version":
        print(f"nglab {__version__}")
    elif command in commands():
        with ending_by_exception():
            return import_module(commands()[command]).command(arguments) or 0
    else:
        raise InputError(f"{command}: no such command; {near(command, list(commands()))}")
    return 0


def show_what_can_be_shown() -> None:
    """What a terminal's encoding lacks is shown as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
