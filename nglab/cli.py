"""The command line. A subcommand is a module of `nglab/commands`; nothing heavy is imported until one is run."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper

from nglab import __version__
from nglab.commands import commands, summaries
from nglab.errors import InputError
from nglab.memory import collect_rarely, keep_freed_memory
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
    """Run a command; the exit status is 0, 1 (a run failed, a disk is full), 2 (wrong input) or 130 (Ctrl-C)."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # spinning long, threads starve each other
    keep_freed_memory()
    collect_rarely()
    show_what_can_be_shown()
    command, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        status = obey(command, arguments)
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"nglab: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that vanished
        where = f"{error.filename}: " if error.filename else ""
        print(f"nglab: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nglab: interrupted", file=sys.stderr)
        return 130


def obey(command: str, arguments: list[str]) -> int:
    """Do what is asked; 0, or 1 where a run or a claim failed."""
    if command in ("-h", "--help"):
        listed = [f"  {name:12}{summary}" for name, summary in summaries()]
        print(HELP.format(commands="\n".join(listed)), end="")
    elif command == "--version":
        print(f"nglab {__version__}")
    elif command in commands():
        return import_module(commands()[command]).command(arguments) or 0
    else:
        raise InputError(f"{command}: no such command; {near(command, list(commands()))}")
    return 0


def show_what_can_be_shown() -> None:
    """What a terminal's encoding lacks is shown as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
