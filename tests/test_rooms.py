"""The structure of the package: what each room may import, and what stands nowhere."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import nglab

PACKAGE = Path(nglab.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TIERS = [
    {"errors", "randomness", "memory", "native", ""},
    {"settings"},
    {"networks"},
    {"likelihoods"},
    {"data"},
    {"curvature"},
    {"optimizers"},
    {"training"},
    {"torch"},
    {"plotting"},
    {"runs"},
    {"sweeps"},
    {"figures", "claims", "bench", "reporting", "exporting"},
    {"commands"},
    {"api"},
    {"cli"},
    {"__main__"},
]
"""The rooms from the ground up: one imports from its own tier and from those before it. "" is the package itself."""

LEVEL = {room: level for level, rooms in enumerate(TIERS) for room in rooms}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


def room_of(module: str) -> str:
    return module.partition(".")[0].replace("__init__", "")


def imports(file: Path) -> Iterator[str]:
    """The modules of the package that a file imports, anywhere in it, without the package's name."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nglab":
            for name in node.names:
                full = f"{node.module}.{name.name}".removeprefix("nglab.")
                inside = PACKAGE / Path(*full.split("."))
                known = inside.with_suffix(".py").exists() or inside.is_dir()
                yield full if known else (node.module or "").removeprefix("nglab").strip(".")
        elif isinstance(node, ast.Import):
            yield from (n.name[6:] for n in node.names if n.name.startswith("nglab."))


def test_every_room_has_its_tier() -> None:
    assert {room_of(module_of(file)) for file in FILES} == set(LEVEL)


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_imports_point_downwards(file: Path) -> None:
    room = room_of(module_of(file))
    upwards = [m for m in imports(file) if LEVEL[room_of(m)] > LEVEL[room]]
    assert not upwards


def test_no_two_files_have_one_name() -> None:
    names = Counter(
        file.stem for file in FILES if file.stem != "__init__" and file.parent.name != "commands"
    )
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_no_mock_is_in_the_product(file: Path) -> None:
    assert "mock" not in {
        part
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(n.name for n in node.names)]
        for part in name.split(".")
    }


METHODS = {
    node.name
    for room in ("optimizers", "data", "likelihoods", "curvature")
    for file in (PACKAGE / room).rglob("*.py")
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.ClassDef)
}
KINDS = {"Operator", "SecondMoment", "DataSource", "Dataset"}
"""What a matrix or examples may be given as: not methods."""


@pytest.mark.parametrize("room", ["settings", "training", "runs", "sweeps"])
def test_what_runs_methods_knows_none_by_name(room: str) -> None:
    """No class of a method, a data set or a density is imported there, but for the base classes."""
    bases = {"Optimizer", "DataSource", "Likelihood", "Dataset", "Batches", "Task", "Schedule"}
    for file in (PACKAGE / room).rglob("*.py"):
        named = {
            name.name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom)
            for name in node.names
        }
        assert named & METHODS <= bases, file


PRODUCT = [file for file in FILES if room_of(module_of(file)) != "claims"]
"""The claims set their problems up by density."""


@pytest.mark.parametrize("file", PRODUCT, ids=module_of)
def test_nothing_asks_which_method_it_has(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            asked = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            assert not asked & METHODS - KINDS


@pytest.mark.parametrize("name", nglab.PUBLIC)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    assert getattr(nglab, name).__doc__
    assert name in dir(nglab)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        nglab.Nothing  # noqa: B018
