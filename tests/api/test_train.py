"""Training from Python: the numbers of the command line, on data of one's own too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import nglab as ng

NETWORK = ng.Network([5, 4, 3], "tanh", bias=True)
TEACHER = ng.Teacher(train_examples=200, test_examples=50)
WORDS = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=200", "data.test_examples=50",
         "optimizer.batch_size=20", "train.passes=2", "seed=3", "out=there"]  # fmt: skip


def numbers(metrics: pd.DataFrame) -> pd.DataFrame:
    return metrics.drop(columns="train_seconds")


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("ngd", {"damping": {"initial": 0.1}}, ["optimizer.damping.initial=0.1"]),
        ("kfac", {}, []),
        (
            "sgd",
            {"lr": 0.05, "schedule": "cosine"},
            ["optimizer.lr=0.05", "optimizer/schedule=cosine"],
        ),
        ("adam", {}, ["dtype=float32"]),
    ],
)
def test_a_run_from_python_is_the_command_lines_to_the_last_bit(name, settings, words) -> None:
    dtype = "float32" if "dtype=float32" in words else None
    method = ng.optimizer(name, batch_size=20, **settings)
    ours = ng.train(NETWORK, TEACHER, method, passes=2, seed=3, dtype=dtype)
    theirs = ng.run([*WORDS, f"optimizer={name}", *words]).metrics
    pd.testing.assert_frame_equal(numbers(ours.metrics), numbers(theirs), check_exact=True)


def test_the_parameters_are_those_at_the_end_and_may_be_differentiated() -> None:
    params, metrics = ng.train(NETWORK, TEACHER, ng.SGD(), passes=1, seed=1)
    data = ng.dataset(NETWORK, TEACHER, seed=1)
    loss = ng.Gaussian().loss(ng.predict(NETWORK, params, data.test_x), data.test_y)
    assert float(loss) == pytest.approx(metrics.test_loss.iloc[-1], rel=1e-12)
    assert not params[0].is_inference()
    assert "Layers([4, 6], [3, 5]; 39 numbers, float64)" in repr(params)


def test_what_a_run_starts_from() -> None:
    first = ng.train(NETWORK, TEACHER, ng.SGD(lr=1e-300), passes=0.1, seed=2)
    for w, start in zip(first.params, ng.initial_parameters(NETWORK, seed=2), strict=True):
        assert torch.allclose(w, start, rtol=0, atol=1e-250)


def test_the_same_tensors_give_the_same_numbers_however_they_are_given() -> None:
    data = ng.dataset(NETWORK, TEACHER, seed=3)
    four = [data.train_x, data.train_y, data.test_x, data.test_y]
    whole = ng.Dataset(*(tensor.unsqueeze(0) for tensor in four))
    losses = [
        ng.train(NETWORK, given, ng.SGD(), passes=1, seed=3).metrics.test_loss.tolist()
        for given in (TEACHER, data, four, tuple(t.numpy() for t in four), whole)
    ]
    assert all(one == losses[0] for one in losses)


def test_without_test_examples_the_training_examples_stand_for_them() -> None:
    data = ng.dataset(NETWORK, TEACHER)
    rows = ng.train(NETWORK, (data.train_x, data.train_y), ng.SGD(), passes=1).metrics
    assert rows.test_loss.tolist() == rows.train_loss.tolist()


@pytest.mark.parametrize(
    ("given", "dtype", "used"),
    [
        ("float64", None, "float64"),
        ("float32", None, "float32"),
        ("float64", "float32", "float32"),
        ("float16", "float64", "float64"),
    ],
)
def test_a_run_has_one_precision(given: str, dtype: str | None, used: str) -> None:
    x, y = (torch.randn(40, n).to(getattr(torch, given)) for n in (5, 3))
    params, _ = ng.train(NETWORK, (x, y), ng.SGD(), passes=1, dtype=dtype)
    assert params[0].dtype is getattr(torch, used)


def test_pixels_in_bytes_are_numbers_where_a_precision_is_asked_for() -> None:
    x, y = np.random.default_rng(0).integers(0, 255, (40, 5), np.uint8), torch.randn(40, 3)
    params, _ = ng.train(NETWORK, (x, y), ng.SGD(lr=1e-9), passes=1, dtype="float32")
    assert params[0].dtype is torch.float32


def test_classes_are_numbers_or_unit_vectors() -> None:
    x, classes = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3
    vectors = np.eye(3)[classes]
    ways = [
        ng.train(NETWORK, (x, y), "adam", likelihood="categorical", passes=1).metrics.test_loss
        for y in (classes, vectors)
    ]
    assert ways[0].tolist() == ways[1].tolist()


def test_an_autoencoders_targets_stay_its_inputs() -> None:
    x = torch.randn(40, 5)
    trained = ng.train(ng.Network([5, 2, 5]), (x, x), ng.SGD(lr=0.01), passes=3)
    assert trained.metrics.test_loss.iloc[-1] < trained.metrics.test_loss.iloc[0]


def test_a_run_whose_loss_leaves_the_numbers_ends_there() -> None:
    trained = ng.train(ng.Network([5, 5, 5]), TEACHER, ng.SGD(lr=1e6), passes=5)
    assert not np.isfinite(trained.metrics.test_loss.iloc[-1])
    assert np.isfinite(trained.metrics.test_loss.iloc[:-1]).all()
    assert trained.metrics.passes.iloc[-1] < 5


@pytest.mark.usefixtures("in_process")
def test_a_bar_is_shown_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    ng.train(NETWORK, TEACHER, ng.SGD(), passes=1)
    assert capsys.readouterr().err == ""
    ng.train(NETWORK, TEACHER, ng.SGD(), passes=1, progress=True)
    assert "10/10" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
