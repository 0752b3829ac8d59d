"""The whole command on its smallest preset, with images made here in place of MNIST."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from nglab import cli
from nglab.data import mnist_source
from nglab.training import step_time


def made_up_mnist(root, split, what):
    """Images of a few soft spots each, and labels."""
    rng = torch.Generator().manual_seed(len(split))
    labels = torch.randint(10, (4000,), generator=rng)
    if what == "labels":
        return labels.to(torch.uint8)
    spots = torch.rand(10, 28 * 28, generator=rng) ** 8
    return (255 * spots[labels]).to(torch.uint8).view(-1, 28, 28)


@pytest.mark.usefixtures("in_process")
def test_the_smoke_preset_from_the_command_line(monkeypatch, capsys):
    for name, fake in (("read", made_up_mnist), ("verify", lambda root: None)):
        monkeypatch.setattr(mnist_source, name, fake)
    monkeypatch.setattr(step_time, "LEAST", 1)
    monkeypatch.setattr(step_time, "ENOUGH_SECONDS", 0.1)
    assert cli.main(["race", "preset=smoke", "out=here"]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith("here")]
    names = {file.name for file in files}
    assert {"figure3.png", "profiles.pdf", "sensitivity.svg", "race.md", "curves.csv", "race.csv",
            "tuning.csv", "settings.csv"} <= names  # fmt: skip
    assert all(file.stat().st_size > 100 for file in files)
    times = pd.read_csv("here/race.csv")
    assert set(times.problem) == {"A", "D"} and set(times.method) == {"sgd", "ngd", "layerwise"}
    assert set(pd.read_csv("here/calibration.csv")["what"]) == {"start", "end"}
    assert "| A | 1.1 × floor |" in Path("here/race.md").read_text()
