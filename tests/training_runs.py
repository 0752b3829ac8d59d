"""Small training runs that the tests of training share."""

import torch
from problems import CONSTANT

from nglab.data.teacher import Teacher
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.optimizers.sgd import SGD
from nglab.randomness import stream
from nglab.training.loop import train
from nglab.training.problem import Problem

NETWORK = Network((5, 4, 4, 3), "tanh", bias=True)
M = 20  # of 90 examples: 4 steps a pass


def sgd(lr=0.1, schedule=CONSTANT):
    return SGD(lr=lr, batch_size=M, schedule=schedule)


def problem(optimizer, seed=0, **more):
    params = random_parameters(NETWORK, 1.0, stream(seed, "student"))
    dataset = Teacher(90, 30, 1e-2, 5.0).dataset(NETWORK, 1.0, seed)
    streams = lambda purpose: [stream(seed, purpose)]  # noqa: E731
    return Problem(NETWORK, Gaussian(), dataset, params, optimizer, streams, **more)


def numbers(evaluation):
    """All that a row holds but seconds, as plain numbers."""
    measured = [evaluation.train_loss, evaluation.test_loss, evaluation.learning_rate]
    measured += evaluation.more.values()
    return evaluation.step, [values.tolist() for values in measured]


def saved(snapshot, file):
    """The snapshot as a checkpoint brings it back."""
    torch.save(snapshot, file)
    return torch.load(file, weights_only=True)


def assert_undisturbed(make, file, passes=4, every=M):
    """A run taken up from a checkpoint at any of its rows gives the rows that come next, bit for bit."""
    rows, snapshots = [], []
    for i, evaluation in enumerate(train(make(), passes, every)):
        rows.append(numbers(evaluation))
        snapshots.append(saved(evaluation.snapshot(), file.with_name(f"{i}.pt")))
    for i, snapshot in enumerate(snapshots[:-1]):
        assert [numbers(e) for e in train(make(), passes, every, snapshot)] == rows[i + 1 :]
