"""What the documents say is what the code says."""

import re
from typing import Any

import pytest
import torch

from nglab.runs.options import document
from nglab.settings.composing import conf_dir

ROOT = conf_dir().parent


def test_the_table_of_settings_is_that_of_the_classes() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    assert text == document(), "python scripts/document_settings.py writes it anew"


@pytest.mark.usefixtures("in_process")
def test_the_readmes_python_runs() -> None:
    """On a small network in place of the paper's."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    small = "arch.widths=[4,3] data.train_examples=200 train.passes=1 optimizer.batch_size=50"
    door = blocks[0].replace("[20] * 17", "[4, 3]").replace("arch=bottleneck", small)
    made: dict[str, Any] = {}
    exec(door, made)
    assert made["metrics"].test_loss.iloc[-1] < made["metrics"].test_loss.iloc[0]
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.LayerNorm(6), torch.nn.Linear(6, 3))
    x = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    made = {"torch": torch, "model": model, "batches": [(x, x.argmax(1).clamp(max=2))] * 30}
    exec(blocks[1], made)
    assert made["loss"] < 0.5  # log 3 at first


def test_the_readme_names_every_option() -> None:
    readme = (ROOT / "README.md").read_text()
    for group in ("arch", "data", "likelihood", "optimizer", "optimizer/metric",
                  "optimizer/metric/solver", "optimizer/damping", "optimizer/step_rule",
                  "optimizer/schedule"):  # fmt: skip
        (row,) = re.findall(rf"^\| `{group}` \|(.*)$", readme, re.MULTILINE)
        for file in (conf_dir() / group).glob("*.yaml"):
            assert f"`{file.stem}`" in row
