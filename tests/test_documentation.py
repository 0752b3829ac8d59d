"""What the documents say is what the code says."""

import re
from pathlib import Path

import pages
import pytest

from nglab import cli
from nglab.runs.options import document
from nglab.runs.table import read_run
from nglab.settings.composing import conf_dir

ROOT = conf_dir().parent


def test_the_table_of_settings_is_that_of_the_classes() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    assert text == document(), "python scripts/document_settings.py writes it anew"


@pytest.mark.usefixtures("in_process")
def test_the_readmes_method_trains(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    for language, name in (
        ("python", "mine/signed.py"),
        ("yaml", "mine/optimizer/signed.yaml"),
    ):
        (block,) = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block)
    pages.forget_mine()
    small = ["arch.widths=[5,5]", "data.train_examples=200", "train.passes=2", "out=there"]
    command = ["run", "--config-dir", "mine", "optimizer=signed", "optimizer.keep=0.95"]
    assert cli.main([*command, *small]) == 0
    losses = read_run(Path("there")).metrics.test_loss
    assert losses.iloc[-1] < losses.iloc[0]
    pages.forget_mine()


def test_the_readme_names_every_option() -> None:
    readme = (ROOT / "README.md").read_text()
    for group in ("arch", "data", "likelihood", "optimizer", "optimizer/metric",
                  "optimizer/metric/solver", "optimizer/damping", "optimizer/step_rule",
                  "optimizer/schedule"):  # fmt: skip
        (row,) = re.findall(rf"^\| `{group}` \|(.*)$", readme, re.MULTILINE)
        for file in (conf_dir() / group).glob("*.yaml"):
            assert f"`{file.stem}`" in row
