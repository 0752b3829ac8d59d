"""Completion: what may stand at the end of a line, and that each shell puts it there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nglab import cli
from nglab.commands import commands

CANDIDATES = {
    "nglab ": {"plot", "run", "completion"},
    "nglab pl": {"plot"},
    "nglab completion ": {"bash", "zsh", "fish"},
    "nglab figure1 pre": {"preset=", "panels="},
    "nglab collect outputs ": {"out="},
    "nglab run ": {"arch=", "optimizer", "train.", "seed=", "experiment="},
    "nglab run -m arch=sq": {"arch=square"},
    ".venv/bin/nglab run -m arch=sq": {"arch=square"},
    "OMP_NUM_THREADS=1 nglab run optimizer=sgd optimizer.l": {"optimizer.lr="},
    "nglab run optimizer/schedule=c": {"optimizer/schedule=constant", "optimizer/schedule=cosine"},
    "nglab run experiment=": {"experiment=rates"},
    "nglab run -m hydra/launcher=": {"hydra/launcher=sequential", "hydra/launcher=stacked"},
    "nglab run -m hydra/sweeper=": {"hydra/sweeper=basic", "hydra/sweeper=optuna"},
    "nglab run --config-dir mine arch=th": {"arch=thin"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def mine(in_process: None) -> None:
    Path("mine/arch").mkdir(parents=True)
    Path("mine/arch/thin.yaml").write_text(
        "{name: thin, widths: [5, 2, 5], activation: tanh, bias: true}"
    )


@pytest.mark.parametrize("line", CANDIDATES)
def test_what_may_stand_at_the_end(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    assert cli.main(["completion", "query"]) == 0
    assert set(capsys.readouterr().out.split()) >= CANDIDATES[line]


def test_every_command_completes_its_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in commands():
        monkeypatch.setenv("COMP_LINE", f"nglab {name} ")
        assert cli.main(["completion", "query"]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err == (
        "nglab: tcsh: no completion for this shell; there are bash, zsh, fish\n"
    )


TYPED = {
    "nglab pl": "nglab plot",
    "nglab run -m arch=sq": "nglab run -m arch=square",
    "nglab run optimizer=sgd optimizer.l": "nglab run optimizer=sgd optimizer.lr=",
    "nglab run --config-dir mine arch=th": "nglab run --config-dir mine arch=thin",
    "nglab list min": "nglab list mine/",
}
"""A line before the tab key, and after it."""


def in_shell(shell: str, script: str, line: str) -> str:
    """The line that the tab key makes of `line` in a terminal where `script` has been read."""
    lines = [SETTING_UP[shell], script, f"{line}\t\x01echo GOT \n", "exit\n"]
    done = subprocess.run(
        ["script", "-qec", COMMAND[shell], "/dev/null"], input="\n".join(lines), text=True, capture_output=True,
        timeout=100, env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "TERM": "dumb"},
    )  # fmt: skip
    (shown,) = [s for s in done.stdout.replace("\r", "\n").splitlines() if s.startswith("GOT ")]
    return shown.removeprefix("GOT ").strip().removesuffix("/")  # which zsh takes back


COMMAND = {"bash": "bash --norc -i", "zsh": "zsh -f -i"}
FUNCTION = f'nglab() {{ {sys.executable} -m nglab "$@"; }}'
SETTING_UP = {
    "bash": f"set -o emacs; {FUNCTION}",
    "zsh": f"bindkey -e; autoload -Uz compinit; compinit -u -D; {FUNCTION}",
}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which(shell) is None or shutil.which("script") is None:
        pytest.skip(f"{shell} or script is not installed")
    assert cli.main(["completion", shell]) == 0
    Path("completion").write_text(capsys.readouterr().out)
    for line, after in TYPED.items():
        assert in_shell(shell, "source ./completion", line) == after.removesuffix("/")


def test_fish(capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    assert cli.main(["completion", "fish"]) == 0
    Path("completion.fish").write_text(capsys.readouterr().out)
    for line, after in TYPED.items():
        program = (
            f"function nglab; {sys.executable} -m nglab $argv; end\n"
            f"source completion.fish; complete -C '{line}'"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "HOME": "."}
        done = subprocess.run(
            ["fish", "-c", program], text=True, capture_output=True, env=environment
        )
        shown = {one.partition("\t")[0] for one in done.stdout.splitlines()}
        assert shown == {after.rpartition(" ")[2]}, line
