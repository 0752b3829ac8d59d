"""What a race may be: every wrong key is named before anything is written."""

from pathlib import Path

import pytest

from nglab import cli
from nglab.errors import InputError
from nglab.figures.race.race_protocol import read_race
from nglab.settings.composing import compose

FLOOR = "problem.A.targets.times_floor"


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("methods=sgd,ngd,sgd", "methods=['sgd', 'ngd', 'sgd']: must be one or more, each once"),
        ("methods=[]", "methods=[]: must be one or more, each once"),
        ("methods=sgd,sdg", "optimizer=sdg: no such option; did you mean sgd?"),
        ("problems=A,A", "problems=['A', 'A']: must be one or more, each once"),
        ("problems=A,E", "problems=E: must be one of A, B, C, D, K"),
        ("problem.A.arch=sqare", "arch=sqare: no such option; did you mean square?"),
        ("problem.A.archh=square", "problem.A.archh: no such key"),
        ("tuned_for=[time]", "tuned_for=time: must be one of examples, seconds"),
        ("tuned_for=[]", "tuned_for=[]: must be one or more, each once"),
        ("tuned_for=seconds,seconds", "tuned_for=['seconds', 'seconds']: must be one or more"),
        ("seeds=0", "seeds=0: must be a whole number, 1 or more"),
        ("seeds=many", "seeds=many: must be a whole number, 1 or more"),
        ("first_tuning_seed=1", "first_tuning_seed=1: must be 2 or more: no seed that is reported"),
        ("first_tuning_seed=1.5", "first_tuning_seed=1.5: must be a whole number"),
        (f"{FLOOR}=[1.1,10]", f"{FLOOR}=(1.1, 10): must be a list of numbers above 0, each less"),
        (f"{FLOOR}=[]", f"{FLOOR}=(): must be a list of numbers above 0, each less than the one"),
        (f"{FLOOR}=[2,2]", f"{FLOOR}=(2, 2): must be a list of numbers above 0, each less"),
        (f"{FLOOR}=[2,0]", f"{FLOOR}=(2, 0): must be a list of numbers above 0, each less"),
        (f"{FLOOR}=3", f"{FLOOR}=3: must be a list of numbers above 0, each less"),
        (f"{FLOOR}=[low]", f"{FLOOR}=('low',): must be a list of numbers above 0, each less"),
        ("+problem.A.targets.tset_loss=[1]", "problem.A.targets=tset_loss: must be one of times_f"
         "loor, test_loss, test_error; did you mean test_loss?"),
        ("+problem.A.targets.test_error=[1]", "problem.A.targets=test_error: must be one of times"
         "_floor, test_loss"),
        ("data.noise_variance=0", "data.noise_variance: no such key"),
        ("problem.A.seeds=0", "problem.A.seeds=0: must be a whole number, 1 or more"),
        ("problem.A.passes=0", "problem.A.passes=0: must be a number, above 0"),
        ("problem.A.tuning.settings=0", "problem.A.tuning.settings=0: must be a whole number, 1"),
        ("problem.A.tuning.seeds=0", "problem.A.tuning.seeds=0: must be a whole number, 1 or more"),
        ("problem.A.tuning.pases=1", "problem.A.tuning.pases: no such key"),
        ("problem.A.overrides=['data.nose=1']", "data.nose: no such key; there are data.train_examp"),
        ("+problem.A.tuning.overrides=['dtype=int8']", "dtype=int8: must be one of float64, float32"),
        ("+problem.A.grids.sgd=[0.01]", "problem.A.grids.sgd=(0.01,): must be keys, each with the"),
        ("+problem.A.grids.sgd={lrr:[0.01]}", "problem.A.grids.sgd.lrr: no such key; did you mean"),
        ("+problem.A.methods.sgd=['optimizer.lr=0']", "optimizer.lr=0: must be a number, above 0"),
        ("beside=mine.csv", "beside=mine.csv: there is no such file"),
        ("preset=fast", "preset=fast: no such option; there are default, "),
        ("sedes=3", "sedes: no such key; did you mean seeds?"),
        ("hydra/launcher=nope", "hydra/launcher=nope: no such option"),
        ("--config-dir=nowhere", "--config-dir=nowhere: there is no such folder"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named_and_nothing_is_written(override, message, capsys):
    words = ["preset=smoke", "methods=sgd", "problems=A", "out=here/mine", override]
    given = [word for word in words if word.split("=")[0] not in override.split("=")[0].split("/")]
    assert cli.main(["race", *given, *([] if override in given else [override])]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


OWN = "+problem.E={arch: mlp, passes: 1, seeds: 2, tuning: {settings: 1, seeds: 1, passes: 1}}"


def test_a_problem_of_ones_own():
    targets = "+problem.E.targets={times_floor: [10, 1.1], test_loss: [3]}"
    (problem,) = read_race(compose([OWN, targets, "problems=[E]", "seeds=4"], "race")).problems
    assert (problem.name, problem.seeds) == ("E", 4)
    assert list(map(str, problem.aims)) == ["10 × floor", "1.1 × floor", "test loss 3"]
    assert problem.command("sgd", 7) == ["arch=mlp", "optimizer=sgd", "seed=7"]


def test_a_problem_without_targets():
    with pytest.raises(InputError, match=r"problem\.E\.targets=\{\}: must be values of one of ti"):
        read_race(compose([OWN, "problems=[E]"], "race"))
