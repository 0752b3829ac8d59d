"""The page on what is shown where: no line of it is empty, and all that it names exists."""

import ast
import re
import shlex

import pytest

from nglab.claims.claims_table import load
from nglab.runs.config import check
from nglab.settings.composing import compose, conf_dir

ROOT = conf_dir().parent
PAGE = (ROOT / "docs" / "coverage.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| where |")
]
LINK = re.compile(r"\[[^]]+\]\((?!http)([^)#]+)[^)]*\)")


def named(kind: str) -> list[str]:
    return re.findall(rf"\b{kind} `([^`]+)`", PAGE)


def test_every_row_says_where_what_and_how() -> None:
    assert len(ROWS) > 100
    for row in ROWS:
        assert len(row) == 3 and all(row), row
        shown = re.search(r"\b(claim|test|run) `|\]\(|`nglab/|`conf/|^not shown.*: ", row[2])
        assert shown, row


@pytest.mark.parametrize(("paper", "last"), [("Bernacchia", 23), ("Martens", 9)])
def test_every_equation_has_a_row(paper: str, last: int) -> None:
    """Each is named in the first column: "§3, Eq. 7, 8"."""
    part = PAGE.partition(f"## {paper}")[2].partition("\n## ")[0]
    firsts = [line.split("|")[1] for line in part.splitlines() if line.startswith("| ")]
    numbers = {
        int(number)
        for first in firsts
        for listed in re.findall(r"Eq\. ([\d, ]+)", first)
        for number in listed.split(",")
        if number.strip()
    }
    assert numbers == set(range(1, last + 1))


def test_its_claims_are_those_that_there_are() -> None:
    """All of the two papers; those on what came after may be named too."""
    papers = {name for name, claim in load().items() if claim.source.startswith(("B ", "M "))}
    assert papers <= set(named("claim")) <= set(load())


@pytest.mark.parametrize("name", sorted(set(named("test"))))
def test_its_tests_exist(name: str) -> None:
    file, _, function = name.partition("::")
    functions = {
        node.name
        for node in ast.parse((ROOT / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert function in functions


@pytest.mark.parametrize("command", sorted(set(named("run"))))
def test_its_runs_can_be_started(command: str) -> None:
    program, subcommand, *words = shlex.split(command)
    assert (program, subcommand) == ("nglab", "run")
    check(compose(words))


@pytest.mark.parametrize("target", sorted(set(LINK.findall(PAGE))))
def test_its_links_lead_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).is_file()
