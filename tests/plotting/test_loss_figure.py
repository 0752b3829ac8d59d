"""The picture that every run leaves: what it shows, and that no odd run breaks it."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nglab.plotting.canvas import WHITE, Canvas
from nglab.plotting.loss_figure import GREY, LEFT, PIXELS, RIGHT, Axis, Panel, save_loss_figure
from nglab.plotting.ticks import log_ticks, round_ticks

INF, NAN = float("inf"), float("nan")
EVERY = [
    [], [4.0], [4.0, 1.0, 0.5], [4.0, INF], [NAN], [4.0, NAN, 1], [9.0, 1e-5], [1.0, 1e-300],
    [1e300, 1e299], [4.0, 1e-3, 2.0, 5.0], [4.0, 1e200, 1.0], [1.0] * 50, [1.0, 0.0, -1.0],
]  # fmt: skip


def rows(losses: list[float]) -> list[dict[str, float]]:
    return [
        {"examples_seen": 100 * i, "train_seconds": i / 8, "test_loss": loss}
        for i, loss in enumerate(losses)
    ]


def drawn(losses: list[float], minimum: float | None, folder: Path) -> np.ndarray:
    save_loss_figure(rows(losses), minimum, folder / "loss.png", {"stacked": 2})
    return np.asarray(Image.open(folder / "loss.png"))


def inside(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    return picture[top : bottom - 2, left + 2 : right].astype(int)


@pytest.mark.parametrize("losses", EVERY)
@pytest.mark.parametrize("minimum", [None, 0.0, 1e-5, 1e-3])
def test_every_run_has_its_picture(
    losses: list[float], minimum: float | None, tmp_path: Path
) -> None:
    picture = drawn(losses, minimum, tmp_path)
    assert picture.shape == PIXELS[::-1]
    seen = any(0 < loss < INF for loss in losses)
    floor = seen and bool(minimum) and max(losses) < 1e200  # else it lies on the axis
    for box in (LEFT, RIGHT):
        assert (inside(picture, box) < 50).any() == seen
        assert (np.abs(inside(picture, box) - GREY) < 3).any() >= floor


def test_the_curve_passes_through_its_points(tmp_path: Path) -> None:
    losses = [4.0, 0.5, 2e-2, 3e-4]
    picture, y = drawn(losses, 1e-5, tmp_path), Axis.of_losses(losses, [1e-5])
    for box, name, unit in ((LEFT, "examples_seen", 1000), (RIGHT, "train_seconds", 1)):
        values = [row[name] / unit for row in rows(losses)]
        panel = Panel(box, Axis.of(values), y, "")
        for value, loss in zip(values, losses, strict=True):
            across, height = panel.place(value, loss)
            assert picture[round(height), round(across)] < 30
            assert picture[round(height) - 12, round(across)] > 200


def test_a_curve_is_broken_where_it_cannot_be_shown(tmp_path: Path) -> None:
    picture = inside(drawn([2.0, INF, INF, 1.5], None, tmp_path), LEFT)
    assert (picture[:, 40:-40] == WHITE).all()


def test_what_is_drawn_beyond_the_edges_is_cut_off() -> None:
    canvas, panel = Canvas(20, 20), Canvas(10, 10)
    panel.line([(-50, 5), (50, 5)], 2)
    canvas.paste(panel, (5, 5))
    picture = np.asarray(canvas.finished().image)
    assert (picture[10, 5:15] < 50).all()
    assert (picture[:, :5] == WHITE).all() and (picture[:, 15:] == WHITE).all()


ROUND = {
    (-0.1, 2.1): ["0.0", "0.5", "1.0", "1.5", "2.0"],
    (0, 1.3): ["0.00", "0.25", "0.50", "0.75", "1.00", "1.25"],
    (-5, 105): ["0", "20", "40", "60", "80", "100"],
    (-1, 610): ["0", "200", "400", "600"],
    (-0.00005, 0.0011): ["0.0000", "0.0002", "0.0004", "0.0006", "0.0008", "0.0010"],
}


@pytest.mark.parametrize("ends", ROUND)
def test_ticks_are_round(ends: tuple[float, float]) -> None:
    assert [label for _, label in round_ticks(*ends)] == ROUND[ends]


def test_ticks_are_where_they_say() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        low = float(rng.normal() * 10 ** rng.uniform(-5, 5))
        high = low + float(10 ** rng.uniform(-3, 5))
        ticks = round_ticks(low, high)
        step = ticks[1][0] - ticks[0][0]
        assert 2 <= len(ticks) <= 7
        for value, label in ticks:
            assert low - 1e-9 * step <= value <= high + 1e-9 * step
            assert abs(float(label) - value) < 1e-6 * step


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.02, 40, ["10⁻¹", "10⁰", "10¹"]),
        (0.3, 6, ["0.5", "1", "2", "5"]),
        (1e-20, 1, ["10⁻¹⁸", "10⁻¹⁵", "10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "10⁰"]),
    ],
)
def test_ticks_of_losses(low: float, high: float, labels: list[str]) -> None:
    ticks = log_ticks(low, high)
    assert [label for _, label in ticks] == labels
    assert all(low <= value <= high for value, _ in ticks)


@pytest.mark.parametrize("low", [1e-310, 1e-300, 1e-9, 1.0, 1e290])
def test_there_are_never_many_ticks_of_losses(low: float) -> None:
    for factor in (1.2, 2.25, 99, 101, 1e5, 1e15):
        ticks = log_ticks(low, low * factor)
        assert len(ticks) <= 10 and all(math.isfinite(value) for value, _ in ticks)


def test_a_run_imports_neither_matplotlib_nor_pandas() -> None:
    code = (
        "import nglab.runs.run, sys; print({'matplotlib', 'pandas', 'scipy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
