"""The script that compares nglab.torch with torch.optim by loss: its search, its file, its tables."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
from torch import nn

from nglab.settings.composing import conf_dir


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """On 80 images of noise whose digit is a bright pixel of the first row, and a linear classifier."""
    monkeypatch.syspath_prepend(conf_dir().parent / "scripts")
    import compare_modules

    digits = torch.arange(80) % 10
    pixels = torch.rand(80, 784, generator=torch.Generator().manual_seed(0))
    pixels[:, :10] = 5 * nn.functional.one_hot(digits, 10)
    images = pixels, digits
    small = replace(
        compare_modules.PROBLEMS["cnn"],
        model=lambda: nn.Sequential(nn.MaxPool2d((28, 1)), nn.Flatten(), nn.Linear(28, 10)),
        seconds=(0.001, 0.002, 0.003),
    )
    monkeypatch.setattr(
        compare_modules, "splits", lambda *_: {"search": (images, images), "run": (images, images)}
    )
    monkeypatch.setitem(compare_modules.PROBLEMS, "cnn", small)
    for name, method in compare_modules.METHODS.items():
        changed = replace(method, others=[{**method.others[0], "batch_size": 20}])
        monkeypatch.setitem(compare_modules.METHODS, name, changed)
    return compare_modules


@pytest.mark.parametrize("best", [1e-5, 0.002, 0.5, 20.0])
@pytest.mark.parametrize("diverges_from", [math.inf, 0.7])
def test_a_search_ends_between_two_worse_ones(
    script: ModuleType, best: float, diverges_from: float
) -> None:
    tried: dict[float, float] = {}

    def score(value: float) -> float:
        tried[value] = math.inf if value > diverges_from else abs(math.log(value / best))
        return tried[value]

    found = script.climb(score, 0.01)
    values = sorted(tried)
    place = values.index(found)
    assert 0 < place < len(values) - 1
    assert tried[values[place - 1]] > tried[found] < tried[values[place + 1]]
    if best < diverges_from:
        assert found == best


def test_the_ladder(script: ModuleType) -> None:
    assert [script.rung(place) for place in range(-4, 3)] == [0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    assert script.place_of(0.1) == -3 and script.place_of(0.009) == script.place_of(0.01)


def test_four_quarters_are_a_pass(script: ModuleType) -> None:
    from module_training import quarters

    for examples, batch_size in ((60, 6), (61, 6), (20, 10)):
        told = [
            next_ for next_, _ in zip(quarters(examples, batch_size, 3), range(8), strict=False)
        ]
        assert [end for end, _ in told] == [0.25 * n for n in range(1, 9)]
        seen = torch.cat([rows for _, batches in told[:4] for rows in batches])
        assert len(seen) == len(seen.unique()) == examples // batch_size * batch_size
        again = next(quarters(examples, batch_size, 3))[1]
        assert all(torch.equal(a, b) for a, b in zip(again, told[0][1], strict=True))


def test_the_same_command_again_trains_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "there" / "rows.csv"
    command = [str(file), "--problems", "cnn", "--methods", "Adam", "SGD", "--seeds", "2"]
    script.main(command)
    rows, text = file.read_text(), file.with_suffix(".md").read_text()

    monkeypatch.setattr(script, "train", None)
    script.main(command)
    assert file.read_text() == rows
    assert file.with_suffix(".md").read_text() == text

    table = pd.read_csv(file)
    told = table[table.kind == "run"]
    assert set(told.seed) == {0, 1} and set(told.method) == {"Adam", "SGD"}
    for (_, _), run in told.groupby(["settings", "seed"]):
        assert run.passes.iloc[0] == 0 and run.passes.iloc[-1] >= script.PASSES
        assert run.loss.iloc[-1] < run.loss.iloc[0] and run.seconds.is_monotonic_increasing
    for settings in told.settings.unique():
        assert settings in text


def test_settings_are_varied_one_at_a_time(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "VARIED", {"samples": (1, 2), "split": ("equal",)})
    file = tmp_path / "rows.csv"
    script.main([str(file), "--problems", "cnn", "--methods", "KFAC", "--seeds", "1", "--vary"])
    varied = pd.read_csv(file).query("kind == 'vary'").settings.unique()
    assert len(varied) == 3
    assert "One setting of KFAC changed" in file.with_suffix(".md").read_text()
    assert all(settings in file.with_suffix(".md").read_text() for settings in varied)


def test_a_run_that_diverges_counts_as_infinite(script: ModuleType) -> None:
    curve = pd.DataFrame({"passes": [0.0, 1, 2], "loss": [2.0, 1, 5]})
    assert script.loss_at(curve, "passes", 1) == math.inf
    assert script.loss_at(curve[:2], "passes", 1.5) == 1
