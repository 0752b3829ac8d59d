"""Methods, densities and networks by name, with the defaults of their files and of no other place."""

import pytest
from omegaconf import OmegaConf

import nglab as ng
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.steps.line import Line
from nglab.runs.config import check
from nglab.settings.composing import compose, conf_dir


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))


@pytest.mark.parametrize("name", options("optimizer"))
def test_every_method_is_the_command_lines(name: str) -> None:
    assert ng.optimizer(name) == check(compose(["arch=mlp", "arch.activation=identity",
                                                "arch.bias=false", f"optimizer={name}"])).optimizer  # fmt: skip
    assert isinstance(ng.optimizer(name), ng.Optimizer)


@pytest.mark.parametrize("name", options("likelihood"))
def test_every_density_is_the_command_lines(name: str) -> None:
    theirs = OmegaConf.load(conf_dir() / "likelihood" / f"{name}.yaml")
    ours = ng.likelihood(name)
    assert f"{type(ours).__module__}.{type(ours).__name__}" == theirs._target_
    assert all(
        getattr(ours, key) == theirs[key] for key in theirs if key[0] != "_" and key != "name"
    )


@pytest.mark.parametrize("name", options("arch"))
def test_every_architecture_is_the_command_lines(name: str) -> None:
    assert ng.network(name) == check(compose([f"arch={name}"])).arch


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (lambda: ng.NGD(), ["optimizer=ngd"]),
        (lambda: ng.SGD(lr=0.5), ["optimizer=sgd", "optimizer.lr=0.5"]),
        (lambda: ng.NGD(damping={"initial": 0.1}), ["optimizer.damping.initial=0.1"]),
        (lambda: ng.NGD(step_rule="line"), ["optimizer/step_rule=line"]),
        (lambda: ng.NGD(step_rule=Line(previous=True)), ["optimizer/step_rule=line"]),
        (
            lambda: ng.NGD(metric={"solver": {"name": "randomized_svd", "rank": 3}, "split": "pi"}),
            ["optimizer/metric/solver=randomized_svd", "optimizer.metric.solver.rank=3",
             "optimizer.metric.split=pi"],
        ),
        (
            lambda: ng.optimizer("adam", schedule={"name": "cosine", "final": 0.1}),
            ["optimizer=adam", "optimizer/schedule=cosine", "optimizer.schedule.final=0.1"],
        ),
        (
            lambda: ng.optimizer("torch", class_="torch.optim.SGD", options={"momentum": 0.9}),
            ["optimizer=torch", "optimizer.class=torch.optim.SGD", "+optimizer.options.momentum=0.9"],
        ),
    ],
)  # fmt: skip
def test_settings_given_in_python_mean_what_they_mean_on_the_command_line(ours, words) -> None:
    assert ours() == check(compose(words)).optimizer


def test_a_method_says_its_settings() -> None:
    assert repr(ng.SGD(schedule=Cosine(warm_up=3))) == (
        "SGD(lr=0.01, batch_size=20, schedule=Cosine(warm_up=3, final=0.0))"
    )
