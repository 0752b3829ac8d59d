"""Pictures of run folders: what they say, and that no odd run breaks them."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nglab.errors import InputError
from nglab.figures.comparison import (
    LEGEND_ENTRIES,
    Line,
    draw_comparison,
    final_losses,
    group,
    looks,
    plot_runs,
)
from nglab.runs.many import differing_keys, flatten
from nglab.runs.table import read_run

WriteRun = Callable[..., Path]
INF, NAN = float("inf"), float("nan")
NGD = {"name": "ngd", "lr": 1.0, "batch_size": 1000, "samples": 1, "damping": {"initial": 0.01}}


def lines_of(folders: Sequence[Path]) -> tuple[list[Line], list[str]]:
    records = [read_run(folder) for folder in folders]
    configs = [flatten(record.config) for record in records]
    keys = differing_keys(configs)
    return group(records, configs, keys), keys


def labels_of(folders: Sequence[Path]) -> list[str]:
    lines, keys = lines_of(folders)
    return [line.label(keys) for line in lines]


def test_runs_are_labelled_by_what_differs_in_numeric_order(write_run: WriteRun) -> None:
    rates = [0.16, 0.02, 1.0]
    folders = [write_run(f"{lr}", [4.0, 1.0], {"optimizer.lr": lr}) for lr in rates]
    folders.append(write_run("lost", [4.0, INF], {"optimizer.lr": 2.0}, status="diverged"))
    assert labels_of(folders) == ["lr=0.02", "lr=0.16", "lr=1", "lr=2 (diverged)"]


def test_seeds_are_one_line_and_an_unfinished_run_its_own(write_run: WriteRun) -> None:
    folders = [write_run(f"s{seed}", [4.0, 1.0], {"seed": seed}) for seed in range(3)]
    folders.append(write_run("lost", [4.0, INF], {"seed": 3}, status="diverged"))
    folders.append(write_run("going", [4.0], {"seed": 4}, status=None))
    assert labels_of(folders) == ["square, sgd (1/4 diverged)", "square, sgd (unfinished)"]


def test_methods_keep_their_colours(write_run: WriteRun) -> None:
    folders = [write_run("a", [4.0, 1.0]), write_run("b", [4.0, 0.5], optimizer=NGD)]
    lines, keys = lines_of(folders)
    assert [line.label(keys) for line in lines] == ["ngd", "sgd"]
    assert [look["color"] for look in looks(lines, keys)] == ["#d62728", "#000000"]


def test_forty_lines_do_not_look_alike(write_run: WriteRun) -> None:
    def change(i: int) -> dict[str, object]:
        return {"optimizer.lr": i + 1, "init.gain": float(i % 3)}

    lines, keys = lines_of([write_run(f"{i}", [4.0, 1.0], change(i)) for i in range(40)])
    assert keys == ["optimizer.lr", "init.gain"]
    assert len({str(look) for look in looks(lines, keys)}) == 40


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, instead of being saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(
        "nglab.plotting.style.save", lambda figure, *_: figures.append(figure) or []
    )
    return figures


def share(figure: Figure, axes: Axes) -> float:
    """How much of the picture, cropped, is one panel's."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    picture, panel = figure.get_tightbbox(renderer), axes.get_window_extent()
    area = picture.width * picture.height * figure.dpi**2
    return float(panel.width * panel.height / area)


def test_unlike_runs_leave_each_panel_a_fifth_of_the_picture(
    write_run: WriteRun, tmp_path: Path, drawn: list[Figure]
) -> None:
    def change(i: int) -> dict[str, object]:
        return {"optimizer.name": f"a_method_{i}", "optimizer.batch_size": 20 + i, "init.gain": i / 7,
                "data.noise_variance": 10.0**-i, "dtype": f"float{i % 2}"}  # fmt: skip

    plot_runs([read_run(write_run(f"{i}", [4, 1], change(i))) for i in range(11)], tmp_path / "out")
    left, right = drawn[0].axes
    assert left.get_legend() is not None and len(left.get_legend().get_texts()) == 11
    assert share(drawn[0], left) > 0.2 and share(drawn[0], right) > 0.2


def test_a_loss_of_0_stands_on_the_lower_edge(
    write_run: WriteRun, tmp_path: Path, drawn: list[Figure]
) -> None:
    losses = {0.01: 1e-3, 0.02: 0.0, 0.04: 2e-3}
    runs = [write_run(f"{lr}", [4, loss], {"optimizer.lr": lr}) for lr, loss in losses.items()]
    plot_runs([*map(read_run, runs)], tmp_path / "out")
    (axes,) = drawn[1].axes
    marked = [line for line in axes.lines if line.get_label() == "a loss of 0"]
    assert [list(line.get_xdata()) for line in marked] == [[0.02]]
    through = max(axes.lines, key=lambda line: len(line.get_xdata()))
    assert list(through.get_ydata()) == [1e-3, axes.get_ylim()[0], 2e-3]


@pytest.mark.parametrize("seconds", [0.00015, 0.015, 3.0, 40000.0])
def test_the_ticks_of_seconds_do_not_overlap(
    seconds: float, write_run: WriteRun, tmp_path: Path, drawn: list[Figure]
) -> None:
    folder = write_run("0", [4, 2, 1])
    rows = pd.read_csv(folder / "metrics.csv")
    rows.assign(train_seconds=[0, seconds / 2, seconds]).to_csv(folder / "metrics.csv", index=False)
    plot_runs([read_run(folder)], tmp_path / "out")
    figure, axes = drawn[0], drawn[0].axes[1]
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    low, high = axes.get_window_extent().intervalx
    shown = [box for box in boxes if low <= box.x0 / 2 + box.x1 / 2 <= high]
    assert len(shown) >= 3
    assert all(a.x1 + 2 < b.x0 for a, b in pairwise(shown))


def test_long_legends_are_thinned(write_run: WriteRun, tmp_path: Path, drawn: list[Figure]) -> None:
    lines, keys = lines_of([write_run(f"{i}", [4, 1], {"optimizer.lr": i + 1}) for i in range(45)])
    draw_comparison(lines, keys, tmp_path / "comparison")
    legend = drawn[0].axes[1].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) <= LEGEND_ENTRIES
    assert legend.get_title().get_text() == "45 lines, one in 2 named"


def test_final_losses_are_infinite_where_a_run_diverged(write_run: WriteRun) -> None:
    folders = [write_run("a", [4.0, 1.0]), write_run("b", [4.0, 5.0], status="diverged")]
    records = [read_run(folder) for folder in folders]
    table = final_losses(records, [flatten(record.config) for record in records], [])
    assert table.final_test_loss.tolist() == [1.0, INF]
    assert table.learning_rate.tolist() == [0.04, 0.04]


def test_a_sweep_over_rates_gives_both_pictures(write_run: WriteRun, tmp_path: Path) -> None:
    folders = [
        write_run(f"{lr}-{seed}", [4.0, lr], {"optimizer.lr": lr, "seed": seed})
        for lr in (0.01, 0.02, 0.04)
        for seed in range(2)
    ]
    folders.append(write_run("lost", [4.0, INF], {"optimizer.lr": 1.0}, status="diverged"))
    files = plot_runs([*map(read_run, folders)], tmp_path / "out")
    expected = ["comparison.png", "comparison.pdf", "learning_rates.png", "learning_rates.pdf"]
    assert [file.name for file in files] == expected
    assert all(file.stat().st_size > 1000 for file in files)
    assert plot_runs([*map(read_run, folders)], tmp_path / "out") == files


def test_methods_each_at_its_own_rate_give_the_comparison_alone(
    write_run: WriteRun, tmp_path: Path
) -> None:
    folders = [
        write_run(name, [4.0, lr], {"optimizer.lr": lr, "optimizer.name": name})
        for name, lr in (("adam", 0.001), ("soap", 0.003), ("sgd", 0.1), ("ngd", 1.0))
    ]
    files = plot_runs([*map(read_run, folders)], tmp_path / "out")
    assert [file.name for file in files] == ["comparison.png", "comparison.pdf"]


@pytest.mark.parametrize("losses", [[4.0], [4.0, 1.0], [NAN]])
def test_one_run_gives_the_comparison_alone(
    losses: list[float], write_run: WriteRun, tmp_path: Path
) -> None:
    files = plot_runs([read_run(write_run("0", losses))], tmp_path)
    assert [file.name for file in files] == ["comparison.png", "comparison.pdf"]


def test_runs_without_rows_are_left_out_or_refused(write_run: WriteRun, tmp_path: Path) -> None:
    empty = write_run("empty", [], status="failed")
    with pytest.raises(InputError, match="no run here has a row"):
        plot_runs([read_run(empty)], tmp_path)
    assert plot_runs([*map(read_run, (empty, write_run("0", [4.0, 1.0])))], tmp_path)
