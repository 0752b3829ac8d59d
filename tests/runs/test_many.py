"""Runs as a table, and what tells them apart."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nglab.runs.many import collect, describe, differing_keys
from nglab.runs.table import find_runs, read_run

WriteRun = Callable[..., Path]


def test_collect_has_configuration_and_summary(write_run: WriteRun, tmp_path: Path) -> None:
    write_run("0", [4.0, 1.0], {"optimizer.lr": 0.08, "device": "auto"})
    write_run("1", [4.0, float("inf")], {"seed": 1}, status="diverged", minimum_loss=None)
    table = collect(map(read_run, find_runs([tmp_path])))
    assert table.folder.map(lambda folder: Path(folder).name).tolist() == ["0", "1"]
    assert table.status.tolist() == ["finished", "diverged"]
    assert table["optimizer.lr"].tolist() == [0.08, 0.04]
    assert table["seed"].tolist() == [0, 1]
    assert table["arch.widths"][0] == "-".join(["20"] * 17)
    assert table["device"].tolist() == ["cpu", "cpu"]
    assert pd.isna(table.minimum_loss[1])
    assert table["versions.nglab"][0] == "0"


def test_a_name_stands_for_what_it_brings() -> None:
    sgd = {"arch.name": "square", "optimizer.name": "sgd", "optimizer.lr": 0.04, "seed": 0}
    ngd = {**sgd, "optimizer.name": "ngd", "optimizer.lr": 1, "optimizer.samples": 1, "seed": 1}
    assert differing_keys([sgd, ngd]) == ["optimizer.name"]
    faster = {**sgd, "optimizer.lr": 0.08}
    assert differing_keys([sgd, ngd, faster]) == ["optimizer.name", "optimizer.lr"]
    assert describe(faster, ["optimizer.name", "optimizer.lr"]) == "sgd, lr=0.08"


def test_keys_are_shortened_unless_that_is_ambiguous() -> None:
    config = {"train.rate": 1, "data.rate": 2.5, "optimizer.damping.initial": 0.01}
    assert describe(config, list(config)) == "train.rate=1, data.rate=2.5, damping.initial=0.01"


def test_one_and_one_point_zero_are_the_same_setting() -> None:
    assert differing_keys([{"optimizer.lr": 1}, {"optimizer.lr": 1.0}]) == []


def test_what_an_option_brings_is_told_by_its_name():
    def run(rule, previous=None, **more):
        target = f"nglab.optimizers.steps.{rule}.{rule.title()}"
        settings = {"optimizer.step_rule.previous": previous} if previous is not None else {}
        return {"optimizer.name": "ngd", "optimizer._target_": "nglab.NGD",
                "optimizer.step_rule._target_": target, "optimizer.step_rule.name": rule,
                **settings, **more}  # fmt: skip

    runs = [run("paper"), run("line", True), run("layerwise", True)]
    assert differing_keys(runs) == ["optimizer.step_rule.name"]
    assert describe(runs[1], differing_keys(runs)) == "step_rule=line"
    runs.append(run("line", False))
    assert differing_keys(runs) == ["optimizer.step_rule.name", "optimizer.step_rule.previous"]
    sgd = {"optimizer.name": "sgd", "optimizer._target_": "nglab.SGD"}
    assert differing_keys([run("line", True), sgd]) == ["optimizer.name"]


def test_an_option_without_a_name_is_told_by_its_class():
    runs = [{"optimizer._target_": f"mine.{name}", "optimizer.lr": 0.1} for name in ("A", "B")]
    assert differing_keys(runs) == ["optimizer._target_"]
    assert [describe(run, differing_keys(runs)) for run in runs] == ["A", "B"]
