"""The command line. Nothing heavy is imported until a command needs it."""

import argparse
import difflib
import inspect
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from nglab import __version__
from nglab.errors import InputError
from nglab.memory import keep_freed_memory

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

COMPLETION = """\
# eval "$(nglab completion bash)"
_nglab() {
  local word=${COMP_LINE:0:COMP_POINT} choices
  word=${word##* }
  if ((COMP_CWORD == 1)); then
    choices="{commands}"
  elif [[ ${COMP_WORDS[1]} == run ]]; then
    choices=$(COMP_LINE="nglab${COMP_LINE#*run}" nglab run -sc query=bash 2>/dev/null)
  else
    return
  fi
  COMPREPLY=($(compgen -o nospace -W "$choices" -- "$word"))
  COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*=}"}"}") # bash splits words at =
}
complete -o nospace -o default -F _nglab nglab
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, 1 (a run failed), 2 (wrong input) or 130 (Ctrl-C)."""
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # spinning long, threads starve each other
    keep_freed_memory()
    command, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        if command in ("-h", "--help"):
            print(HELP.format(commands=summaries()), end="")
        elif command == "--version":
            print(f"nglab {__version__}")
        elif command in COMMANDS:
            COMMANDS[command](arguments)
        else:
            raise InputError(f"{command}: no such command; {suggestion(command)}")
    except InputError as error:
        print(f"nglab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("nglab: interrupted", file=sys.stderr)
        return 130
    return 0


def summaries() -> str:
    return "\n".join(f"  {name:12}{summary(command)}" for name, command in COMMANDS.items())


def summary(command: Callable[[list[str]], None]) -> str:
    return (command.__doc__ or "").partition("\n")[0]


def suggestion(command: str) -> str:
    close = difflib.get_close_matches(command, COMMANDS, n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}"


def run(arguments: list[str]) -> None:
    """train one run, or with -m a sweep"""
    from nglab.sweeps.application import run_command

    run_command(arguments)


def figure1(arguments: list[str]) -> None:
    """train what Figure 1 needs and draw it

    What is done is not done again: a stopped figure goes on where it was stopped.

    examples:
      nglab figure1
      nglab figure1 preset=smoke
      nglab figure1 preset=paper panels=A,B seeds=5
      nglab figure1 out=outputs/mine
    """
    parser = parser_of("figure1", figure1)
    keys = "preset=smoke|default|paper, panels=A,B,C,D, seeds=N, out=DIR"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=keys)
    overrides = [as_list(override) for override in parser.parse_args(arguments).overrides]

    from nglab.runs.config import compose

    config = compose(overrides, "figure1")

    from nglab.figures.figure1.compute_figure1 import (
        figure1 as make,  # torch: once the configuration is right
    )

    show_log()
    for file in make(config, Path(config.out)):
        print(file)


def bench(arguments: list[str]) -> None:
    """time the steps of SGD and NGD, beside what one would write or install instead

    Wants a quiet machine. pip install 'nglab[bench]' brings the libraries to compare with.

    examples:
      nglab bench
      nglab bench what=steps,parts panels=A,B
      nglab bench what=scaling,solvers rounds=5 out=outputs/quick
    """
    parser = parser_of("bench", bench)
    keys = "what=gemm,steps,parts,scaling,solvers, panels=A,B,C,D, rounds=N, threads=N, dtype=float32|float64, out=DIR"
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=keys)
    overrides = [as_list(override) for override in parser.parse_args(arguments).overrides]

    from nglab.runs.config import compose

    config = compose(overrides, "bench")

    from nglab.bench.suite import bench as measure  # torch: once the configuration is right

    show_log()
    for file in measure(config, Path(config.out)):
        print(file)


def plot(arguments: list[str]) -> None:
    """draw the loss curves of runs, labelled by what differs between them

    examples:
      nglab plot outputs/runs/2026-11-21_10-59-00-123456
      nglab plot outputs/sweeps/2026-11-21_11-20-00-654321 --out sweep
    """
    parser = parser_of("plot", plot)
    parser.add_argument("folders", nargs="+", metavar="DIR", type=Path, help="a run or a sweep")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="where the pictures go; default the first DIR"
    )
    args = parser.parse_args(arguments)

    from nglab.figures.comparison import plot_runs
    from nglab.runs.table import find_runs

    for file in plot_runs(find_runs(args.folders), args.out or args.folders[0]):
        print(file)


def collect(arguments: list[str]) -> None:
    """gather runs into one CSV: a row per run, what was configured, what came out

    examples:
      nglab collect outputs/sweeps > runs.csv
      nglab collect outputs/runs outputs/sweeps --out runs.csv
    """
    parser = parser_of("collect", collect)
    parser.add_argument("folders", nargs="+", metavar="DIR", type=Path, help="a run or a sweep")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the CSV; default the terminal")
    args = parser.parse_args(arguments)

    from nglab.runs.many import collect as table_of
    from nglab.runs.table import find_runs

    table_of(find_runs(args.folders)).to_csv(args.out or sys.stdout, index=False)


def list_runs(arguments: list[str]) -> None:
    """list the runs below a folder, their status and result

    examples:
      nglab list
      nglab list outputs/sweeps
    """
    parser = parser_of("list", list_runs)
    parser.add_argument("root", nargs="?", metavar="DIR", default="outputs", help="default outputs")
    args = parser.parse_args(arguments)

    from nglab.runs.many import list_runs as table_of

    table = table_of(Path(args.root))
    folders = ["folder", *table.pop("folder")]
    for line, folder in zip(table.to_string(index=False).splitlines(), folders, strict=True):
        print(line, folder)


def figure2(arguments: list[str]) -> None:
    """integrate the natural-gradient flow of linear networks and draw Figure 2

    Loss along the flow for Eq. 10, for the exact step in closed form, and the line e^(-2t).

    examples:
      nglab figure2
      nglab figure2 out=outputs/mine
    """
    parser = parser_of("figure2", figure2)
    parser.add_argument(
        "out", nargs="?", metavar="out=DIR", type=out_folder, default=Path("outputs/figure2"),
        help="default outputs/figure2",
    )  # fmt: skip
    args = parser.parse_args(arguments)

    from nglab.figures.figure2.compute_figure2 import figure2 as make

    show_log()
    for file in make(args.out):
        print(file)


def claims(arguments: list[str]) -> None:
    """check every mathematical claim of the two papers

    Prints what was expected and what was measured, writes claims.csv, claims.md and pictures; the exit status is 1
    where a measured number leaves its expectation.

    examples:
      nglab claims
      nglab claims claims=fisher-rank,exponential
      nglab claims out=outputs/mine
    """
    parser = parser_of("claims", claims)
    keys = "claims=NAME,… (default all), out=DIR (default outputs/claims)"
    parser.add_argument("settings", nargs="*", metavar="key=value", help=keys)
    settings = {"claims": "", "out": "outputs/claims"}
    for text in parser.parse_args(arguments).settings:
        key, _, value = text.partition("=")
        if key not in settings or not value:
            raise InputError(f"{text}: must be claims=NAME,… or out=DIR")
        settings[key] = value

    from nglab.claims.claims_table import run_claims

    if not run_claims([n for n in settings["claims"].split(",") if n], Path(settings["out"])):
        sys.exit(1)


def data(arguments: list[str]) -> None:
    """fetch a data set, verify it, and say where it lies

    examples:
      nglab data mnist
      nglab data mnist data.root=/scratch/data
      NGLAB_DATA=/scratch/data nglab data mnist
    """
    parser = parser_of("data", data)
    parser.add_argument("name", choices=["mnist"])
    place = "default the folder $NGLAB_DATA, else the user's cache"
    parser.add_argument("root", nargs="?", metavar="data.root=DIR", type=data_root, help=place)
    args = parser.parse_args(arguments)

    from nglab.data.mnist_files import fetch

    show_log()
    print(fetch(args.root))


def completion(arguments: list[str]) -> None:
    """print the completion script of a shell

    examples:
      eval "$(nglab completion bash)"
    """
    parser = parser_of("completion", completion)
    parser.add_argument("shell", choices=["bash"])
    parser.parse_args(arguments)
    print(COMPLETION.replace("{commands}", " ".join(COMMANDS)), end="")


def parser_of(name: str, command: Callable[[list[str]], None]) -> argparse.ArgumentParser:
    """A parser whose help is the command's docstring."""
    first, _, rest = inspect.cleandoc(command.__doc__ or "").partition("\n\n")
    return argparse.ArgumentParser(
        f"nglab {name}",
        description=first,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def show_log() -> None:
    """What nglab logs, and nothing of what its libraries log, on the terminal."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("nglab")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def data_root(text: str) -> Path:
    key, _, folder = text.partition("=")
    if key != "data.root" or not folder:
        raise argparse.ArgumentTypeError(f"{text}: must be data.root=DIR")
    return Path(folder)


def out_folder(text: str) -> Path:
    key, _, folder = text.partition("=")
    if key != "out" or not folder:
        raise argparse.ArgumentTypeError(f"{text}: must be out=DIR")
    return Path(folder)


def as_list(override: str) -> str:
    """panels=A,B as panels=[A,B], which Hydra would else take for a sweep."""
    key, _, value = override.partition("=")
    listed = key in ("panels", "what") and not value.startswith("[")
    return f"{key}=[{value}]" if listed else override


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "run": run,
    "figure1": figure1,
    "figure2": figure2,
    "claims": claims,
    "plot": plot,
    "collect": collect,
    "list": list_runs,
    "bench": bench,
    "data": data,
    "completion": completion,
}
