"""The notebook of the paper: it runs from top to bottom in its short form, and is kept with its outputs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pytest

import nglab

NOTEBOOK = pages.DOCS / "paper.ipynb"


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def data(cells: list[Any]) -> Iterator[dict[str, Any]]:
    """What the cells show, by type."""
    for cell in cells:
        yield from (output["data"] for output in cell["outputs"] if "data" in output)


def test_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("NGLAB_NOTEBOOK", "short")
    paths = [str(Path(nglab.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    notebook = nbformat.read(NOTEBOOK, 4)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}).execute()
    shown = list(data(code(notebook)))
    assert sum("image/png" in kinds for kinds in shown) == 3
    (left_over,) = (kinds["text/plain"] for kinds in shown if "Eq. 10" in kinds["text/plain"])
    left = dict(line.split() for line in left_over.splitlines()[1:])
    assert float(left["square"]) < 1e-10 > float(left["expanding"])
    assert float(left["bottleneck"]) > 1e-3


def test_it_is_kept_run_and_small() -> None:
    cells = code(json.loads(NOTEBOOK.read_text()))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell["outputs"] if o["output_type"] != "execute_result"
                and "data" not in o]  # fmt: skip
    for kinds in data(cells):
        assert len(kinds.get("image/png", "")) * 3 / 4 < 100_000


def test_it_needs_nglab_by_one_import_alone() -> None:
    lines = "".join(
        line for cell in code(json.loads(NOTEBOOK.read_text())) for line in cell["source"]
    )
    assert [line for line in lines.splitlines() if "nglab" in line and "import" in line] == [
        "import nglab as ng"
    ]
