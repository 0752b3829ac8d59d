"""The pages on what can be added: what they say to write is written, and what they say to run is run."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import yaml

import nglab
from nglab import cli
from nglab.runs.table import read_run
from nglab.settings.composing import conf_dir

INSIDE = [page for page in pages.ADDED if any(f.startswith("nglab/") for f in pages.files(page))]
"""Those whose files are of the package itself."""

OUTSIDE = [page for page in pages.ADDED if page not in INSIDE]
LEFT = {"subcommand": "outputs/damped/damping.png", "architecture": "outputs/sweeps/funnel/3"}
"""What the commands of some pages leave."""


def page_id(page: Path) -> str:
    return page.stem


def run(command: str) -> int:
    """The exit status of a line of shell: of `nglab` in this process, of `python` in one of its own."""
    program, *words = shlex.split(command, comments=True)
    if program == "python":
        return subprocess.run([sys.executable, *words]).returncode
    assert program == "nglab"
    try:
        return cli.main(words)
    except SystemExit as leaving:
        return int(leaving.code or 0)


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("page", OUTSIDE, ids=page_id)
def test_its_files_do_what_its_commands_say(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(nglab.__file__).parents[1]))
    pages.write(page, Path.cwd())
    pages.forget_mine()
    assert [run(command) for command in pages.commands(page)] == [0] * len(pages.commands(page))
    assert Path(LEFT.get(page.stem, ".")).exists()
    pages.forget_mine()


@pytest.mark.parametrize("page", INSIDE, ids=page_id)
def test_so_do_files_of_the_package(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(nglab.__file__).parent, "nglab", ignore=shutil.ignore_patterns("conf"))
    shutil.copytree(conf_dir(), "conf")
    pages.write(page, tmp_path)
    for command in pages.commands(page):
        words = [sys.executable, "-m", *shlex.split(command)]
        subprocess.run(words, env=os.environ | {"PYTHONPATH": str(tmp_path)}, check=True)
    assert Path(LEFT.get(page.stem, ".")).exists()


@pytest.mark.usefixtures("in_process")
def test_what_a_method_names_is_a_column() -> None:
    page = pages.DOCS / "add" / "column.md"
    pages.write(page, Path.cwd())
    pages.forget_mine()
    assert run(pages.commands(page)[0]) == 0
    rows = read_run(Path("outputs/descent")).metrics
    assert (rows.step_length.iloc[1:] > 0).all()
    pages.forget_mine()


ON_THE_SITE = str(yaml.safe_load((pages.DOCS.parent / "mkdocs.yml").read_text())["nav"])


@pytest.mark.parametrize("file", sorted((conf_dir() / "optimizer").glob("*.yaml")), ids=page_id)
def test_every_method_is_in_the_navigation(file: Path) -> None:
    assert f"methods/{file.stem}.md" in ON_THE_SITE


@pytest.mark.parametrize("name", nglab.PUBLIC)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    reference = "".join(file.read_text() for file in (pages.DOCS / "reference").glob("*.md"))
    module, _, own = nglab.PUBLIC[name].partition(":")
    assert f"::: {module}.{own or name}\n" in reference
