"""What every data source is held to. A new one is a line of SOURCES; those of MNIST read tiny files made here."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from data.tiny_mnist import CONTENTS, TEST, TRAIN
from torch.testing import assert_close

from nglab import cli
from nglab.data.mnist import MnistImages
from nglab.data.mnist_digits import MnistDigits
from nglab.data.source import DataSource
from nglab.data.teacher import Teacher
from nglab.errors import InputError
from nglab.likelihoods.bernoulli import Bernoulli
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.network import Network
from nglab.runs.table import read_run

SOURCES: dict[str, tuple[Callable[..., DataSource], Network]] = {  # of the root; a network for it
    "teacher": (lambda root: Teacher(4, 3, 1e-2, 5.0), Network((5, 3, 2))),
    "mnist": (lambda root: MnistImages(4, 3, str(root), False), Network((784, 3, 784))),
    "mnist_digits": (lambda root: MnistDigits(4, 3, str(root), False), Network((784, 3, 10))),
}
MNIST = {"mnist": MnistImages, "mnist_digits": MnistDigits}
every_source = pytest.mark.parametrize("name", SOURCES)


def parts(dataset):
    return dataset.train_x, dataset.train_y, dataset.test_x, dataset.test_y


@every_source
def test_the_examples_fit_the_network(name, root):
    make, network = SOURCES[name]
    train_x, train_y, test_x, test_y = parts(make(root).dataset(network, 1.0, 0))
    assert train_x.shape == (1, 4, network.widths[0]) and test_x.shape == (1, 3, network.widths[0])
    assert train_y.shape == (1, 4, network.widths[-1]) and test_y.shape[1] == 3
    assert {t.dtype for t in (train_x, train_y, test_x, test_y)} <= {torch.float32, torch.float64}


@every_source
def test_it_is_another_data_set_only_where_it_says_so(name, root):
    make, network = SOURCES[name]
    source = make(root)
    first, again = (parts(source.dataset(network, 1.0, 0)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for gain, seed in ((1.0, 1), (1.5, 0)):
        other = parts(source.dataset(network, gain, seed))
        same = all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
        assert same is not source.drawn


@every_source
def test_the_targets_are_of_the_kind_that_it_says(name, root):
    make, network = SOURCES[name]
    source = make(root)
    data = source.dataset(network, 1.0, 0)
    assert source.targets == kind(data.train_y) == kind(data.test_y)


def kind(y):
    if ((y == 0) | (y == 1)).all() and (y.sum(-1) == 1).all():
        return "classes"
    return "unit interval" if y.min() >= 0 and y.max() <= 1 else "real"


@every_source
def test_a_run_that_fits_is_taken(name, root):
    make, network = SOURCES[name]
    source = make(root)
    source.check("data", SimpleNamespace(arch=network, data=source))
    source.verify()


@every_source
def test_only_a_teacher_knows_its_smallest_loss_and_its_inputs(name, root):
    make, network = SOURCES[name]
    source, drawn = make(root), name == "teacher"
    floors = [source.minimum_loss(network, r) for r in (Gaussian(), Categorical(), Bernoulli())]
    assert floors == [0.5 * 2 * 1e-2 if drawn else None, None, None]
    assert (source.input_moment(network, 0) is not None) is drawn


@pytest.mark.parametrize("name", MNIST)
def test_pixels_are_scaled_to_the_unit_interval(name, root):
    make, network = SOURCES[name]
    data = make(root).dataset(network, 1.0, 0)
    assert_close(data.train_x[0], TRAIN[:4].reshape(4, 784).float() / 255)
    assert_close(data.test_x[0], TEST.reshape(3, 784).float() / 255)
    assert data.train_x.min() == 0 and data.train_x.max() == 1


def test_an_autoencoder_holds_its_images_once(root):
    make, network = SOURCES["mnist"]
    data = make(root).dataset(network, 1.0, 0)
    assert data.train_y is data.train_x and data.test_y is data.test_x


def test_digits_are_one_hot(root):
    make, network = SOURCES["mnist_digits"]
    data = make(root).dataset(network, 1.0, 0)
    assert data.train_y[0].argmax(-1).tolist() == [0, 1, 2, 3]
    assert data.test_y[0].argmax(-1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("widths", [(10, 784), (784, 20), (20, 784, 20)])
@pytest.mark.parametrize("name", MNIST)
def test_widths_that_do_not_fit_are_refused(name, widths):
    source = MNIST[name](4, 3, None, False)
    ends = {"mnist": "784 at both ends", "mnist_digits": "784 first and 10 last"}[name]
    message = rf"^arch.widths=\[.*\]: must be {ends}, since data={name}"
    with pytest.raises(InputError, match=message):
        source.check("data", SimpleNamespace(arch=Network(widths), data=source))


@pytest.mark.parametrize(("split", "most"), [("train", 60_000), ("test", 10_000)])
@pytest.mark.parametrize("name", MNIST)
def test_splits_are_no_larger_than_mnists(name, split, most):
    def check(examples):
        sizes = {"train_examples": 1, "test_examples": 1} | {f"{split}_examples": examples}
        source = MNIST[name](**sizes, root=None, validation=False)
        source.check("data", SimpleNamespace(arch=SOURCES[name][1], data=source))

    check(most)
    message = f"^data.{split}_examples={most + 1}: must be at most {most}, all MNIST has"
    with pytest.raises(InputError, match=message):
        check(most + 1)


@pytest.mark.parametrize("name", MNIST)
def test_held_out_examples_are_the_last_of_the_training_images(name, root):
    network = SOURCES[name][1]
    train_x, train_y, test_x, test_y = parts(
        MNIST[name](3, 2, str(root), True).dataset(network, 1.0, 0)
    )
    assert_close(train_x[0], TRAIN[:3].reshape(3, 784).float() / 255)
    assert_close(test_x[0], TRAIN[3:].reshape(2, 784).float() / 255)
    if name == "mnist_digits":
        assert train_y[0].argmax(-1).tolist() == [0, 1, 2]
        assert test_y[0].argmax(-1).tolist() == [3, 4]


@pytest.mark.parametrize("name", MNIST)
def test_nothing_is_both_trained_on_and_held_out(name, root):
    network = SOURCES[name][1]

    def check(train):
        source = MNIST[name](train, 10_000, None, True)
        source.check("data", SimpleNamespace(arch=network, data=source))

    check(50_000)
    with pytest.raises(InputError, match=r"^data\.train_examples=50001: must be at most 50000: "):
        check(50_001)
    with pytest.raises(InputError, match=r"data\.train_examples=4: must be at most 3: "):
        MNIST[name](4, 2, str(root), True).dataset(network, 1.0, 0)


@pytest.mark.parametrize("name", MNIST)
def test_files_with_fewer_examples_or_none_are_refused(name, root):
    network = SOURCES[name][1]
    with pytest.raises(InputError, match=r"data\.train_examples=6: must be at most 5"):
        MNIST[name](6, 3, str(root), False).dataset(network, 1.0, 0)
    with pytest.raises(InputError, match=r"data\.test_examples=4: must be at most 3"):
        MNIST[name](5, 4, str(root), False).dataset(network, 1.0, 0)
    (root / "MNIST" / "raw" / next(iter(CONTENTS))).unlink()
    source = MNIST[name](4, 3, str(root), False)
    for missing in (source.verify, lambda: source.dataset(network, 1.0, 0)):
        with pytest.raises(InputError, match=r"missing.*nglab data mnist"):
            missing()


def test_a_relative_root_means_the_folder_that_the_source_was_made_in(root, tmp_path, monkeypatch):
    """Hydra may change to a job's own folder (`hydra.job.chdir`)."""
    monkeypatch.chdir(root.parent)
    source = MnistImages(4, 3, root.name, False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    network = SOURCES["mnist"][1]
    assert_close(
        source.dataset(network, 1.0, 0).train_x,
        MnistImages(4, 3, str(root), False).dataset(network, 1.0, 0).train_x,
    )
    assert source == MnistImages(4, 3, root.name, False)


def test_a_job_in_its_own_folder_finds_relative_data(root, in_process):
    words = ["arch=mlp", "data=mnist", "arch.widths=[784,3,784]", f"data.root=../{root.name}", "train.passes=1",
             "data.train_examples=5", "data.test_examples=3", "optimizer=sgd", "optimizer.batch_size=5"]  # fmt: skip
    assert cli.main(["run", *words, "hydra.job.chdir=true", "out=a/run"]) == 0
    assert read_run(Path("a/run")).summary["status"] == "finished"
