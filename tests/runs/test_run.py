import json
from contextlib import suppress
from itertools import chain

import pandas as pd
import pytest
import torch
from dense_reference import squared_error

from nglab.data.teacher import input_covariance_root
from nglab.errors import InputError
from nglab.networks.network import Network
from nglab.randomness import stream
from nglab.runs import picture
from nglab.runs import run as run_module
from nglab.runs.build import build, build_each
from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.config import check
from nglab.runs.ownership import finished
from nglab.runs.run import run, run_together
from nglab.settings.composing import compose
from nglab.training.clock import step_threads
from nglab.training.loop import train
from nglab.training.replicas import stack

SMALL = ["data.train_examples=2000", "data.test_examples=200", "train.passes=1"]


def config(*overrides):
    return check(compose([*SMALL, *overrides]))


def test_a_run_leaves_its_record(tmp_path):
    summary = run(config("seed=3"), tmp_path, progress=False)
    rows = pd.read_csv(tmp_path / "metrics.csv")
    assert rows.examples_seen.tolist() == [0, 1000, 2000]
    assert rows.test_loss.iloc[-1] < rows.test_loss.iloc[0]
    assert rows.damping.iloc[-1] < 1e-2 and rows.reduction_ratio.notna()[1:].all()
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["status"] == "finished" and summary["seed"] == 3
    assert summary["minimum_loss"] == pytest.approx(1e-5)
    assert summary["final_test_loss"] == rows.test_loss.iloc[-1]
    assert summary["dtype"] == "float64" and summary["threads"] >= 1
    assert (tmp_path / "loss.png").stat().st_size > 1000


@pytest.mark.parametrize("seeds", [[3], [0, 3]], ids=["alone", "in a stack"])
def test_the_losses_of_the_record_are_of_the_sets_that_they_name(seeds, tmp_path):
    """From the start to the end, each run's on its own data; the training set's on as many examples as are tested."""
    configs = [config(f"seed={seed}", "optimizer=sgd", "data.noise_variance=0.1") for seed in seeds]
    folders = [tmp_path / str(seed) for seed in seeds]
    for folder in folders:
        folder.mkdir()
    run_together(configs, folders, progress=False)
    for one, folder in zip(configs, folders, strict=True):
        rows, problem = pd.read_csv(folder / "metrics.csv"), build(one)
        data, evaluations = problem.dataset, train(problem, 1, run_module.eval_interval(one))
        for (_, row), evaluation in zip(rows.iterrows(), evaluations, strict=True):
            weights = list(evaluation.params)
            for name, x, y in (
                ("train_loss", data.train_x[0, :200], data.train_y[0, :200]),
                ("test_loss", data.test_x[0], data.test_y[0]),
            ):
                expected = squared_error(one.arch, weights, x, y)
                assert row[name] == pytest.approx(float(expected), rel=1e-6)
        assert ((rows.train_loss / rows.test_loss - 1).abs() > 1e-3).all()


def test_what_a_method_is_told_of_its_inputs_is_of_the_runs_own_seed():
    problem = build(config("seed=3", "data.train_examples=20000"))
    root = input_covariance_root(20, 5.0, stream(3, "covariance"))
    torch.testing.assert_close(problem.task(1).input_moment, root @ root.mT)
    x = problem.dataset.train_x[0]
    torch.testing.assert_close(x.mT @ x / len(x), root @ root.mT, atol=0.03, rtol=0)


def test_the_same_seed_gives_the_same_metrics(tmp_path):
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run(config("optimizer=ngd"), tmp_path / name, progress=False)
        tables.append(pd.read_csv(tmp_path / name / "metrics.csv").drop(columns="train_seconds"))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_divergence_is_a_result(tmp_path):
    summary = run(config("optimizer=sgd", "optimizer.lr=10"), tmp_path, progress=False)
    assert summary["status"] == "diverged" and summary["final_test_loss"] is None
    assert len(pd.read_csv(tmp_path / "metrics.csv")) >= 2
    assert (tmp_path / "loss.png").exists()


@pytest.mark.parametrize("gain", [1e10, 1e200])
def test_a_loss_that_is_infinite_from_the_start_has_diverged(gain, tmp_path):
    summary = run(config(f"init.gain={gain}"), tmp_path, progress=False)
    assert summary["status"] == "diverged" and summary["final_test_loss"] is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_graph_without_a_gpu_is_refused(tmp_path):
    with pytest.raises(InputError, match="cuda_graph=True: must be false: this"):
        run(config("device=auto", "train.cuda_graph=true"), tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_run_that_ends_above_its_start_diverged(tmp_path):
    overrides = ["arch=mlp", "arch.activation=sigmoid", "optimizer=sgd", "optimizer.lr=30"]
    summary = run(config(*overrides), tmp_path, progress=False)
    assert summary["status"] == "diverged"


BLOWN_UP = {  # what the members of a stack have of their own; sizes of the stacks that are trained
    "at different times": (
        "sgd",
        ["optimizer.lr=0.01", "init.gain=1e200", "optimizer.lr=0.02", "optimizer.lr=10"],
        [4, 3, 2],
    ),
    "at the start": ("ngd", ["init.gain=1e200", "init.gain=1", "init.gain=0.9"], [3, 2]),
    "all": ("sgd", ["init.gain=1e200", "init.gain=1e201"], [2]),
    "none": ("ngd", ["seed=1", "seed=2"], [2]),
}


@pytest.fixture(params=BLOWN_UP)
def stacked(request, tmp_path, monkeypatch):
    """The stack's configurations; folders for them together and alone; the sizes that it should have and has."""
    optimizer, own, expected = BLOWN_UP[request.param]
    configs = [
        config(f"optimizer={optimizer}", "train.checkpoint_every=600", overrides)
        for overrides in own
    ]
    folders = [[tmp_path / kind / str(i) for i in range(len(own))] for kind in ("all", "one")]
    for folder in chain(*folders):
        folder.mkdir(parents=True)
    sizes = []

    def counted(problem, *rest):
        sizes.append(len(problem.members or [0]))
        return train(problem, *rest)

    monkeypatch.setattr(run_module, "train", counted)
    return configs, *folders, expected, sizes


def equal_results(configs, together, alone):
    for settings, stacked, one in zip(configs, together, alone, strict=True):
        expected = run(settings, one, progress=False)["status"]
        assert json.loads((stacked / "summary.json").read_text())["status"] == expected
        ours, theirs = (pd.read_csv(folder / "metrics.csv") for folder in (stacked, one))
        drop = {"columns": "train_seconds"}
        pd.testing.assert_frame_equal(ours.drop(**drop), theirs.drop(**drop), rtol=1e-9)


def test_a_stack_goes_on_without_those_that_blew_up(stacked):
    configs, together, alone, expected, sizes = stacked
    run_together(configs, together, progress=False)
    assert sizes == expected
    equal_results(configs, together, alone)


def test_a_stack_stopped_goes_on_without_those_that_blew_up(stacked, monkeypatch):
    configs, together, alone, expected, sizes = stacked
    write = CheckpointFile.write

    def stopping(self, content):
        write(self, content)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointFile, "write", stopping)
        for _ in range(5):
            with suppress(KeyboardInterrupt):
                run_together(configs, together, progress=False)
                break
    if not (together[0] / "loss.png").exists():
        run_together(configs, together, progress=False)
    assert sizes[-1] == expected[-1]
    equal_results(configs, together, alone)


@pytest.mark.parametrize("pictures", [0, 1, 2])
@pytest.mark.parametrize("killed", [KeyboardInterrupt, MemoryError])
def test_a_run_stopped_before_its_picture_is_a_result(pictures, killed, tmp_path, monkeypatch):
    """All summaries come first, then the pictures, and the checkpoint goes last."""
    original, drawn = picture.save_loss_figure, []
    folders = [tmp_path / str(i) for i in range(3)]

    def stopping(*args):
        summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
        assert [summary["status"] for summary in summaries] == ["finished"] * 3
        if len(drawn) == pictures:
            raise killed
        drawn.append(original(*args))

    configs = [config(f"seed={seed}", "train.checkpoint_every=1000") for seed in range(3)]
    with monkeypatch.context() as patched, pytest.raises(killed):
        patched.setattr(picture, "save_loss_figure", stopping)
        run_together(configs, folders, progress=False)
    assert [(folder / "loss.png").exists() for folder in folders] == [
        i < pictures for i in range(3)
    ]
    assert (folders[0] / "checkpoint.pt").exists()
    for settings, folder in zip(configs, folders, strict=True):
        assert finished(folder, settings.described())
    assert not (folders[0] / "checkpoint.pt").exists()
    for folder in folders:  # drawn where it was missing, from what stands in the folder
        assert (folder / "loss.png").exists()
    record = json.loads((folders[0] / "summary.json").read_text())
    rows = pd.read_csv(folders[0] / "metrics.csv").to_dict("records")
    picture.save_loss_figure(rows, record["minimum_loss"], tmp_path / "expected.png", record)
    assert (folders[0] / "loss.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


@pytest.mark.parametrize("summaries", [0, 1, 2])
def test_a_stack_killed_before_its_summaries_is_not_trained_again(summaries, tmp_path, monkeypatch):
    """Whoever is left, and however grouped: all rows are there, and the summaries are those that were lost."""
    folders = [tmp_path / str(i) for i in range(3)]
    configs = [config(f"seed={seed}", "train.checkpoint_every=1000") for seed in range(3)]
    expected = run_together(configs, folders, progress=False)
    for folder in folders[summaries:]:
        (folder / "summary.json").unlink()
        (folder / "loss.png").unlink()
    monkeypatch.setattr(run_module, "train", lambda *_: pytest.fail("trained again"))
    for settings, folder, summary in zip(configs, folders, expected, strict=True):
        if not finished(folder, settings.described()):
            assert run(settings, folder, progress=False) == summary
        assert json.loads((folder / "summary.json").read_text()) == summary
        assert (folder / "loss.png").exists()


def test_as_many_passes_are_trained_as_are_asked_for(tmp_path):
    sizes = ["data.train_examples=1900", "optimizer.batch_size=1000", "train.passes=5"]
    summary = run(config(*sizes), tmp_path, progress=False)
    last = pd.read_csv(tmp_path / "metrics.csv").iloc[-1]
    assert summary["steps"] == 10 and last.passes == pytest.approx(10_000 / 1900)


DEAD = ["arch=mlp", "arch.activation=relu", "arch.widths=[20,1,1,1,20]", "train.passes=3"]


@pytest.mark.parametrize("seed", range(3))
def test_a_dead_layer_does_not_stop_the_others(seed, tmp_path):
    summary = run(config(*DEAD, "optimizer.metric.split=pi", f"seed={seed}"), tmp_path, False)
    assert summary["status"] == "finished" and summary["skipped_steps"] == 0


def test_noise_about_the_start_is_no_divergence(tmp_path):
    damping = ["optimizer.damping.initial=1e-8", "optimizer.damping.min=0"]
    assert run(config(*DEAD, *damping), tmp_path, False)["status"] == "finished"


def test_an_interrupted_run_keeps_its_rows(tmp_path, monkeypatch):
    def interrupted(*args):
        rows = train(*args)
        yield next(rows)
        yield next(rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(config(), tmp_path, progress=False)
    assert json.loads((tmp_path / "summary.json").read_text())["status"] == "interrupted"
    assert len(pd.read_csv(tmp_path / "metrics.csv")) == 2


def test_a_failing_run_leaves_its_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "build_each", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(config(), tmp_path, progress=False)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "failed" and "ZeroDivisionError" in summary["traceback"]


def test_two_runs_never_share_a_folder(tmp_path):
    run(config(), tmp_path, progress=False)
    before = (tmp_path / "summary.json").read_text()
    with pytest.raises(InputError, match="is never written over"):
        run(config(), tmp_path, progress=False)
    assert (tmp_path / "summary.json").read_text() == before


@pytest.mark.parametrize("initial", [1.0, 1e-4, 1e-8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_starting_damping_stays_finite(initial, dtype, tmp_path):
    overrides = [
        f"optimizer.damping.initial={initial}",
        f"dtype={dtype}",
        "optimizer.batch_size=200",
    ]
    run(config(*overrides), tmp_path, progress=False)
    rows = pd.read_csv(tmp_path / "metrics.csv")
    assert (rows.test_loss < 100 * rows.test_loss[0]).all()  # False for a NaN
    assert rows.damping.iloc[-1] >= 1e-8


def test_optimizers_of_one_seed_start_alike_and_see_the_same_data():
    sgd, ngd = build(config("optimizer=sgd")), build(config("optimizer=ngd"))
    assert all(torch.equal(a, b) for a, b in zip(sgd.params, ngd.params, strict=True))
    assert torch.equal(sgd.dataset.train_y, ngd.dataset.train_y)


def test_both_precisions_start_alike():
    double, single = build(config()), build(config("dtype=float32"))
    assert all(torch.equal(a.float(), b) for a, b in zip(double.params, single.params, strict=True))


def test_a_stack_holds_each_data_set_once():
    configs = [
        config(f"seed={s}", "optimizer=sgd", f"optimizer.lr={a}")
        for a in (0.1, 0.2)
        for s in (0, 1)
    ]
    problem = stack(build_each(configs))
    assert problem.members == [0, 1, 0, 1] and len(problem.dataset.train_x) == 2
    assert problem.optimizer.lr.tolist() == [0.1, 0.1, 0.2, 0.2]


def test_small_products_of_one_network_take_one_thread():
    threads = torch.get_num_threads()
    square, wide = Network((20,) * 17), Network((784, 400, 784))
    torch.set_num_threads(3)
    try:
        assert [step_threads(square, 20), step_threads(square, 20, True)] == [1, 3]
        assert [step_threads(square, 1000), step_threads(wide, 20)] == [3, 3]
    finally:
        torch.set_num_threads(threads)
