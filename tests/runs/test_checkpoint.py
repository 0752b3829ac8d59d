import pytest
import torch

from nglab.runs.build import build, build_each
from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.config import check
from nglab.settings.composing import compose
from nglab.training.loop import train
from nglab.training.replicas import stack

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "arch.activation=tanh", "arch.bias=true",
         "data.train_examples=90", "data.test_examples=20", "optimizer.batch_size=20"]  # fmt: skip
LINEAR = ["arch.activation=identity", "arch.bias=false"]
CASES = {
    "sgd": [[*SMALL, "optimizer=sgd"]],
    "ngd": [[*SMALL, "optimizer=ngd"]],
    "ngd_exact": [[*SMALL, *LINEAR, "optimizer=ngd_exact"]],
    "float32": [[*SMALL, "optimizer=ngd", "dtype=float32", "optimizer.samples=2"]],
    "stacked sgd": [[*SMALL, "optimizer=sgd", f"seed={s}"] for s in (0, 1)],
    "stacked ngd": [
        [*SMALL, "optimizer=ngd", f"optimizer.damping.initial={d}"] for d in (0.1, 1.0)
    ],
}


def problem(overrides):
    configs = [check(compose(job)) for job in overrides]
    return stack(build_each(configs)) if len(configs) > 1 else build(configs[0])


def numbers(evaluation):
    measured = (evaluation.train_loss, evaluation.test_loss, *evaluation.more.values())
    return evaluation.step, [values.tolist() for values in measured]


@pytest.mark.parametrize("case", CASES)
def test_a_snapshot_goes_on_bit_for_bit(case, tmp_path):
    file = CheckpointFile(tmp_path, "me")
    rows = []
    for i, evaluation in enumerate(train(problem(CASES[case]), 4, 50)):  # 4 steps a pass
        rows.append(numbers(evaluation))
        if i == 2:  # step 5, within the second pass
            file.write({"loop": evaluation.snapshot()})
            seconds = evaluation.train_seconds
    saved = file.read()["loop"]
    on = list(train(problem(CASES[case]), 4, 50, saved))
    assert [numbers(e) for e in on] == rows[3:]
    assert on[0].train_seconds > seconds


def test_a_checkpoint_of_other_runs_is_not_read(tmp_path):
    mine = CheckpointFile(tmp_path, "mine")
    assert mine.read() is None
    mine.write({"loop": {"order": torch.arange(3)}})
    assert mine.read()["loop"]["order"].tolist() == [0, 1, 2]
    assert CheckpointFile(tmp_path, "another").read() is None
    assert [f.name for f in tmp_path.iterdir()] == ["checkpoint.pt"]
