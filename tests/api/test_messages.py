"""What Python is told of wrong arguments: which one, what is wrong, and what would be right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import nglab as ng

NETWORK = ng.Network([4, 3, 2])
PARAMS = ng.initial_parameters(NETWORK)
X, Y, V = torch.zeros(5, 4).double(), torch.zeros(5, 2).double(), torch.zeros(18).double()
DATA = (X, Y)


def fisher() -> ng.Fisher:
    return ng.Fisher(NETWORK, PARAMS, X)


def train(data: Any = DATA, optimizer: Any = None, **more: Any) -> Any:
    return ng.train(NETWORK, data, optimizer or ng.SGD(batch_size=5), passes=1, **more)


Wrong = Callable[[], object]
SETTINGS: dict[str, Wrong] = {
    "Network.activation=tnah: must be one of identity, tanh, sigmoid, relu, softplus; did you mean"
    " tanh?": lambda: ng.Network([4, 2], "tnah"),
    "Network.widths=[4]: must be a list of whole numbers above 0, two or more": lambda: ng.Network([4]),
    "Network.widths: is missing": lambda: ng.Network(),
    "Network.bais: no such key; did you mean Network.bias?": lambda: ng.Network([4, 2], bais=True),
    "SGD.lr=-0.1: must be a number, above 0": lambda: ng.SGD(lr=-0.1),
    "SGD.lr=fast: must be a number, above 0": lambda: ng.SGD(lr="fast"),
    "SGD.lrr: no such key; did you mean SGD.lr?": lambda: ng.SGD(lrr=0.1),
    "SGD: takes its settings by name": lambda: ng.SGD(0.1),
    "NGD.damping.initail: no such key; did you mean NGD.damping.initial?":
        lambda: ng.NGD(damping={"initail": 1.0}),
    "NGD.damping.initial=0: must be a number, above 0": lambda: ng.NGD(damping={"initial": 0}),
    "NGD.damping=0.1: must be a group of keys": lambda: ng.NGD(damping=0.1),
    "optimizer/step_rule=lien: no such option; did you mean line?": lambda: ng.NGD(step_rule="lien"),
    "optimizer=kfca: no such option; did you mean kfac?": lambda: ng.optimizer("kfca"),
    "optimizer.lr=-1: must be a number, above 0 and below 2": lambda: ng.optimizer("kfac", lr=-1),
    "likelihood=gausian: no such option; did you mean gaussian?": lambda: ng.likelihood("gausian"),
    "arch=bottelneck: no such option; did you mean bottleneck?": lambda: ng.network("bottelneck"),
    "Teacher.noise_variance=-1: must be a number, 0 or more": lambda: ng.Teacher(noise_variance=-1),
}  # fmt: skip
CURVATURE: dict[str, Wrong] = {
    "network: is a list: must be a Network, such as": lambda: ng.Fisher([4, 2], PARAMS, X),
    "params: is a Tensor: must be Layers, or a list": lambda: ng.Fisher(NETWORK, V, X),
    "params: has 1 layers: must have 2": lambda: ng.Fisher(NETWORK, PARAMS[:1], X),
    "params[1]: has shape [3, 3]: must be [..., 2, 3]":
        lambda: ng.Fisher(NETWORK, [PARAMS[0], torch.zeros(3, 3).double()], X),
    "params[0]: is int64: must be float64 or float32":
        lambda: ng.Fisher(NETWORK, [w.long() for w in PARAMS], X),
    "params[1]: is float32: must be float64":
        lambda: ng.Fisher(NETWORK, [PARAMS[0], PARAMS[1].float()], X),
    "x: is float32: must be float64, as the parameters are; x.to(torch.float64) is":
        lambda: ng.Fisher(NETWORK, PARAMS, X.float()),
    "x: has shape [5, 3]: must be [..., M, 4]": lambda: ng.Fisher(NETWORK, PARAMS, X[:, :3]),
    "x: has shape [4]: must be [..., M, 4]": lambda: ng.predict(NETWORK, PARAMS, X[0]),
    "x: is a list: must be a tensor or an array": lambda: ng.predict(NETWORK, PARAMS, [[0.0] * 4]),
    "y: has shape [5, 1]: must be [..., 5, 2]": lambda: ng.GGN(NETWORK, PARAMS, X, Y[:, :1]),
    "y: has shape [4, 2]: must be [..., 5, 2]": lambda: ng.Hessian(NETWORK, PARAMS, X, Y[:4]),
    "y: is float32: must be float64":
        lambda: ng.EmpiricalFisher(NETWORK, PARAMS, X, Y.float()),
    "y: is int64: must be float64": lambda: ng.GGN(NETWORK, PARAMS, X, Y.long()),
    "y: has classes from 2 to 2: must be from 0 to 1":
        lambda: ng.GGN(NETWORK, PARAMS, X, torch.full((5,), 2), "categorical"),
    "likelihood: is the class Gaussian: must be a Likelihood":
        lambda: ng.Fisher(NETWORK, PARAMS, X, ng.Gaussian),
    "likelihood=gausian: no such option; did you mean":
        lambda: ng.Fisher(NETWORK, PARAMS, X, "gausian"),
    "v: has shape [3]: must be [18]": lambda: fisher() @ V[:3],
    "v: has shape [3, 18]: must be [..., 18, k]": lambda: fisher() @ torch.zeros(3, 18).double(),
    "v: is float32: must be float64": lambda: fisher() @ V.float(),
    "v: is a float: must be a tensor or an array": lambda: fisher() @ 3.0,
    "v: has 1 layers: must have 2": lambda: fisher() @ PARAMS[:1],
    "damping=-1: must be a number, 0 or more":
        lambda: ng.natural_gradient(NETWORK, PARAMS, X, Y, damping=-1),
    "network: has 10100 parameters: must be at most 10000": lambda: ng.natural_gradient(
        wide := ng.Network([100, 101]), ng.initial_parameters(wide), torch.zeros(1, 100).double(),
        torch.zeros(1, 101).double()),
}  # fmt: skip
TRAINING: dict[str, Wrong] = {
    "network: is a list: must be a Network": lambda: ng.train([4, 2], DATA),
    "network=squre: no such option; did you mean square?": lambda: ng.train("squre", "teacher"),
    "optimizer: is the class SGD: must be an Optimizer, such as": lambda: train(optimizer=ng.SGD),
    "optimizer=sdg: no such option; did you mean sgd?": lambda: train(optimizer="sdg"),
    "data: is a Tensor: must be a DataSource such as Teacher(), a Dataset,": lambda: train(X),
    "data=techer: no such option; did you mean teacher?": lambda: train("techer"),
    "train_x: is a list: must be a tensor or an array": lambda: train(([[0.0] * 4], Y)),
    "train_x: has shape [5, 3]: must be [5, 4]": lambda: train((X[:, :3], Y)),
    "train_y: has shape [4, 2]: must be [5, 2]": lambda: train((X, Y[:4])),
    "test_y: has shape [5, 1]: must be [3, 2]": lambda: train((X, Y, X[:3], Y[:, :1])),
    "train_y: is float32: must be float64, as train_x is, or give dtype=": lambda: train((X, Y.float())),
    "train_x: is float16: must be float64 or float32, or give dtype=":
        lambda: train((X.half(), Y.half())),
    "train_x: is uint8: must be float64 or float32": lambda: train((X.numpy().astype(np.uint8), Y)),
    "test_x: holds numbers that are not finite": lambda: train((X, Y, X / 0, Y)),
    "train_y: has shape [5, 2]: must be [..., 5], since whole numbers are classes":
        lambda: train((X, Y.long()), likelihood="categorical"),
    "train_y: is int64: must be float64 or float32; whole numbers are classes, and Gaussian takes":
        lambda: train((X, Y.long())),
    "train_y: has classes from 0 to 4: must be from 0 to 1":
        lambda: train((X, torch.arange(5)), likelihood="categorical"),
    'likelihood=Categorical: must be a density of "real" targets':
        lambda: train((X, Y - 1), likelihood=ng.Categorical()),
    "optimizer.batch_size=20: must be at most train_examples=5": lambda: train(optimizer=ng.SGD()),
    "passes=-1: must be a number, above 0": lambda: ng.train(NETWORK, DATA, passes=-1),
    "passes=0.5: must be 1 or more": lambda: ng.train(NETWORK, DATA, ng.SGD(batch_size=5), passes=0.5),
    "eval_every_examples=0: must be a whole number, 1 or more": lambda: train(eval_every_examples=0),
    "seed=-1: must be a whole number, from 0": lambda: train(seed=-1),
    "gain=0: must be a number, above 0": lambda: train(gain=0),
    "dtype=float16: must be one of float64, float32": lambda: train(dtype="float16"),
    "device=gpu: must be auto, cpu, cuda": lambda: train(device="gpu"),
    "network.widths=[4, 3, 2]: must be 784 at both ends": lambda: train(ng.MNIST()),
}  # fmt: skip
RUNS: dict[str, Wrong] = {
    "nowhere is not a folder: give a run's folder": lambda: ng.read_runs("nowhere"),
    "nowhere/metrics.csv is missing": lambda: ng.read_run("nowhere"),
    "elsewhere is not a folder": lambda: ng.plot_runs(["elsewhere"]),
    "folders: is an int: must be a folder, or a list of folders": lambda: ng.read_runs(3),
    "optimizer=sdg: no such option; did you mean sgd?": lambda: ng.run(["optimizer=sdg"]),
    "optimizer.lr=-1: must be a number": lambda: ng.run("-m optimizer=sgd optimizer.lr=0.1,-1"),
    "--info: trains nothing: must be overrides": lambda: ng.run(["--info"]),
}


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("message", "wrong"),
    [case for table in (SETTINGS, CURVATURE, TRAINING, RUNS) for case in table.items()],
)
def test_a_wrong_argument_is_named_with_what_would_be_right(message: str, wrong: Wrong) -> None:
    with pytest.raises(ng.InputError) as error:
        wrong()
    assert str(error.value).startswith(message)
