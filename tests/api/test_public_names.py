"""What a reader of the reference finds under every public name."""

import doctest
import inspect
import re

import pytest
from fresh_python import said

import nglab as ng

NAMES = [name for name in ng.__all__ if name != "__version__"]
WANTED = {
    "a formula": r"[=←~∝≈]",
    "a shape": r"\[[^\]]*[A-Z_]\w*[^\]]*\]|rows × columns|runs × columns|two pictures",
    "a unit": r"\bunits?\b|\bseconds\b|\bnats\b",
    "how losses are scaled": r"\bloss",
    "what it raises": r"Raises? InputError",
    "its source": r"Source:",
    "an example": r">>> ",
}
ASKED_LESS = {"InputError": {"an example"}}
"""It takes part in no computation."""


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_says_what_its_reader_asks(name: str) -> None:
    text = inspect.getdoc(getattr(ng, name)) or ""
    asked = ASKED_LESS.get(name, WANTED)
    assert [what for what in asked if not re.search(WANTED[what], text, re.IGNORECASE)] == []


@pytest.mark.parametrize("name", NAMES)
def test_its_example_is_one_that_doctest_finds(name: str) -> None:
    found = doctest.DocTestFinder(recurse=False).find(getattr(ng, name), name, globs={})
    assert found and found[0].examples


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'SDG'; did you mean SGD\?"):
        ng.SDG  # noqa: B018


def test_to_import_the_package_imports_nothing_else() -> None:
    program = "import sys; before = set(sys.modules); import nglab; print(*sorted(set(sys.modules) - before))"
    assert said(program).split() == ["nglab", "nglab.native", "nglab.native.before_torch"]


def test_what_is_for_models_of_ones_own_is_there_under_its_name() -> None:
    program = "import nglab as ng, sys; print('torch' in sys.modules); print(ng.torch.NGD.__name__)"
    assert said(program).split() == ["False", "NGD"]
