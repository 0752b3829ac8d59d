import numpy as np
import pandas as pd
import pytest

from nglab.curvature.deep_linear import shells
from nglab.curvature.flow import flow
from nglab.errors import InputError
from nglab.figures.figure2 import compute_figure2 as figure2


def test_files_and_table(tmp_path, monkeypatch):
    monkeypatch.setattr(figure2, "PANELS", {"expanding": (3, 5, 3), "contracting": (5, 4, 3)})
    monkeypatch.setattr(figure2, "SEEDS", 2)
    files = figure2.figure2(tmp_path / "new")
    assert {f.suffix for f in files} == {".png", ".pdf", ".svg", ".csv"}
    assert all(f.stat().st_size > 0 for f in files)
    table = pd.read_csv(tmp_path / "new" / "figure2.csv")
    assert list(table.columns) == ["panel", "widths", "form", "seed", "time", "loss", "rate"]
    assert len(table) == 2 * 2 * 2 * len(figure2.TIMES)
    exact = table[(table.panel == "expanding") | (table.form == "shells")]
    np.testing.assert_allclose(exact.loss, np.exp(-2 * exact.time), rtol=1e-4)
    np.testing.assert_allclose(exact.rate, 2, rtol=1e-6)
    inexact = table[(table.panel == "contracting") & (table.form == "Eq. 10")]
    assert (inexact[inexact.time == 5].loss > 1.02 * np.exp(-10)).all()


def test_a_square_flow_ends_where_the_way_to_the_solution_loses_rank():
    student, regression = figure2.problem((3, 3, 3), 0)
    end = figure2.rank_loss_time(student, regression)
    assert figure2.loses_rank(student, regression)
    trajectory = flow(student, regression, shells, np.linspace(0, end + 1, 200))
    assert trajectory.times[-1] == pytest.approx(end, abs=0.02)
    # all problems that the figure shows go on
    (seed, (student, regression)), *_ = figure2.problems((3, 3, 3), 1)
    assert seed > 0
    assert figure2.rank_loss_time(student, regression) == float("inf")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        figure2.figure2(tmp_path / "file" / "folder")
