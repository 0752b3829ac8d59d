import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from nglab.commands._output import with_preset
from nglab.data.mnist import MnistImages
from nglab.data.teacher import Teacher
from nglab.errors import InputError
from nglab.figures.race.race_protocol import read_race
from nglab.runs.config import check
from nglab.runs.device import check_device
from nglab.settings import composing
from nglab.settings.composing import compose
from nglab.sweeps.preflight import expand

CONF = composing.conf_dir()
UP, DOWN = list(range(20, 100, 10)), list(range(90, 10, -10))
WIDTHS = {
    "square": [20] * 17,
    "expanding": [*UP, 100, *DOWN],
    "bottleneck": [200, 80, 34, 20, 10, 5, 2, 5, 10, 20, 34, 80, 200],
    "mnist_autoencoder": [784, 400, 200, 100, 50, 100, 200, 400, 784],
}


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize("arch", options("arch"))
def test_every_architecture_composes(arch: str) -> None:
    assert check(compose([f"arch={arch}"])).names["arch"] == arch


@pytest.mark.parametrize("optimizer", options("optimizer"))
def test_every_optimizer_composes(optimizer: str) -> None:
    checked = check(compose([f"optimizer={optimizer}"]))
    assert checked.names["optimizer"] == optimizer


@pytest.mark.parametrize("arch", WIDTHS)
def test_the_architectures_are_the_papers(arch: str) -> None:
    checked = check(compose([f"arch={arch}"]))
    on_mnist = arch == "mnist_autoencoder"
    assert checked.arch.widths == tuple(WIDTHS[arch])
    assert checked.arch.activation == ("tanh" if on_mnist else "identity")
    assert checked.arch.bias is on_mnist
    assert type(checked.data) is (MnistImages if on_mnist else Teacher)
    assert checked.dtype == ("float32" if on_mnist else "float64")


def test_the_command_line_wins_over_what_an_architecture_brings() -> None:
    checked = check(compose(["data=teacher", "arch=mnist_autoencoder", "dtype=float32"]))
    assert isinstance(checked.data, Teacher)
    assert checked.dtype == "float32"
    widths = "arch.widths=[784,30,784]"
    assert check(compose(["arch=mlp", "data=mnist", widths])).dtype == "float32"


@pytest.mark.parametrize("file", sorted(CONF.rglob("*.yaml")), ids=lambda file: file.stem)
def test_the_command_on_top_of_every_file_composes(file: Path) -> None:
    command = next(line for line in file.read_text().splitlines() if line.startswith("# nglab"))
    assert_composes(command.removeprefix("#").partition("  ")[0])


METHODS = CONF.parent / "docs" / "methods"


@pytest.mark.parametrize("file", sorted(METHODS.glob("*.md")), ids=lambda file: file.stem)
def test_the_commands_of_every_page_on_a_method_compose(file: Path) -> None:
    lines = [line.strip() for line in file.read_text().splitlines()]
    commands = [line for line in lines if line.startswith("nglab run")]
    assert commands
    for command in commands:
        assert_composes(command)


def test_every_method_has_a_page_and_a_line_among_them() -> None:
    table = (METHODS / "README.md").read_text()
    for file in (CONF / "optimizer").glob("*.yaml"):
        assert (METHODS / f"{file.stem}.md").exists()
        assert f"]({file.stem}.md)" in table


def assert_composes(command: str) -> None:
    _, program, *words = shlex.split(command, comments=True)
    overrides = [word for word in words if word != "-m" and not word.startswith("out=")]
    if program == "run":
        for job in expand(overrides):
            check(compose(job))
    else:
        with with_preset([word for word in overrides if "," not in word], program) as words:
            compose(words, program)


@pytest.mark.parametrize("preset", options("race"))
def test_every_preset_of_the_race_composes(preset: str) -> None:
    race = read_race(compose([f"race={preset}", "problems=[A,B,C,D,K]"], "race"))
    for problem in race.problems:
        reported, tuned = problem.command("sgd", 0), problem.command("sgd", 1000)
        check(compose(reported))
        assert check(compose([*tuned, *problem.tuning.overrides])).seed == race.first_tuning_seed


@pytest.mark.parametrize("preset", options("figure1"))
def test_every_preset_of_figure_1_composes(preset: str) -> None:
    figure = compose([f"figure1={preset}"], "figure1")
    for panel in figure.panel.values():
        check(compose([f"arch={panel.arch}", "optimizer=sgd", *panel.get("overrides", [])]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("optimizer.lrr=1", "optimizer.lrr: no such key; did you mean optimizer.lr?"),
        ("lr=1", "lr: no such key; did you mean optimizer.lr?"),
        ("optimizer.qqq=0.9", "optimizer.qqq: no such key; there are optimizer."),
        ("+optimizer.qqq=0.9", "optimizer.qqq: no such key; there are optimizer.lr"),
        (
            "optimizer=sgd optimizer.samples=2",
            "optimizer.samples: not a key of the chosen optimizer; optimizer=",
        ),
        ("archh=square", "archh: no such key; did you mean arch?"),
        ("hydra.run.dirr=x", "hydra.run.dirr: no such key; nglab run --cfg hydra"),
        ("arch=sqare", "arch=sqare: no such option; did you mean square?"),
        ("optimizer=qqq", "optimizer=qqq: no such option; there are "),
        ("arch=null", "must be a string or a list"),
        ("square", "square: must be key=value"),
        ("optimizer.lr=0.1,0.2", "optimizer.lr=0.1,0.2: several values; a sweep needs -m"),
        ("seed=${nope}", "Interpolation key 'nope' not found"),
        ("seed=abc", "seed=abc: must be a whole number"),
        ("seed=2.5", "seed=2.5: must be a whole number"),
        ("seed=-1", "seed=-1: must be a whole number, from 0 to below 2^63"),
        (f"seed={2**63}", f"seed={2**63}: must be a whole number, from 0 to below 2^63"),
        ("optimizer.lr=fast", "optimizer.lr=fast: must be a number"),
        ("optimizer.lr=null", "optimizer.lr=None: must be a number"),
        ("~optimizer.lr", "optimizer.lr: is missing: must be a number"),
        ("optimizer=sgd optimizer.lr=0", "optimizer.lr=0: must be a number, above 0"),
        (
            "optimizer=sgd optimizer.lr=nan",
            "optimizer.lr=nan: must be a number, above 0 and finite",
        ),
        (
            "optimizer=sgd optimizer.lr=inf",
            "optimizer.lr=inf: must be a number, above 0 and finite",
        ),
        ("optimizer.lr=2", "optimizer.lr=2: must be a number, above 0 and below 2"),
        ("optimizer.batch_size=0", "optimizer.batch_size=0: must be a whole number, 1 or more"),
        ("optimizer.batch_size=10001", "must be at most data.train_examples=10000"),
        ("optimizer.samples=0", "optimizer.samples=0: must be a whole number, 1 or more"),
        ("optimizer.damping.initial=0", "optimizer.damping.initial=0: must be a number, above 0"),
        ("optimizer.damping.min=1", "optimizer.damping.min=1.0: must be from 0 to"),
        ("optimizer.metric.split=half", "optimizer.metric.split=half: must be one of equal, pi"),
        ("optimizer.damping.split=pi", "did you mean optimizer.metric.split?"),
        ("optimizer.damping=0.1", "optimizer.damping=0.1: must be a group of keys"),
        ("arch.widths=20", "arch.widths=20: must be a list of whole numbers"),
        ("arch.widths=[20,x]", "arch.widths=[20, 'x']: must be a list of whole numbers"),
        ("arch.widths=[20]", "arch.widths=[20]: must be a list of whole numbers above 0, two or"),
        (
            "arch.widths=[20,0,20]",
            "arch.widths=[20, 0, 20]: must be a list of whole numbers above 0",
        ),
        ("arch.activation=tan", "arch.activation=tan: must be one of identity, tanh"),
        ("arch.activation=tnah", "did you mean tanh?"),
        ("arch.bias=maybe", "arch.bias=maybe: must be true or false"),
        ("data=mnist", "must be 784 at both ends"),
        (
            "data._target_=nglab.data.Cifar",
            "data._target_=nglab.data.Cifar: nglab.data has no Cifar",
        ),
        ("data.train_examples=0", "data.train_examples=0: must be a whole number, 1 or more"),
        ("data.noise_variance=-1", "data.noise_variance=-1: must be a number, 0 or more"),
        (
            "data.spectrum_decay=inf",
            "data.spectrum_decay=inf: must be a number, 0 or more and finite",
        ),
        ("arch=mnist_autoencoder data.train_examples=60001", "must be at most 60000"),
        ("arch=mnist_autoencoder data.test_examples=10001", "must be at most 10000"),
        ("init.gain=0", "init.gain=0: must be a number, above 0"),
        ("train.passes=0", "train.passes=0: must be a number, above 0"),
        ("train.passes=0.05", "train.passes=0.05: must be 0.1 or more: one batch at least"),
        (
            "train.eval_every_examples=0",
            "train.eval_every_examples=0: must be a whole number, 1 or more or null",
        ),
        (
            "train.eval_every_examples=x",
            "train.eval_every_examples=x: must be a whole number, 1 or more or null",
        ),
        ("device=cpu train.cuda_graph=true", "train.cuda_graph=True: must be false with device"),
        ("optimizer=ngd_exact train.cuda_graph=true", "must be false with optimizer=ngd_exact"),
        ("device=gpu", "device=gpu: must be auto, cpu, cuda or cuda:<number>"),
        ("dtype=float16", "dtype=float16: must be one of float64, float32"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(overrides: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        check(compose(overrides.split()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_values_at_the_ends_of_their_ranges_are_right() -> None:
    ends = "seed=0 data.noise_variance=0 optimizer.damping.min=0 data.train_examples=1000"
    check(compose(ends.split()))
    check(compose([f"seed={2**63 - 1}", "arch.widths=[1,1]", "optimizer.batch_size=10000"]))
    check(compose(["optimizer.damping.initial=1e-8"]))


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for device in ("auto", "cpu", "cuda", "cuda:0"):
        check_device(device)
    with pytest.raises(InputError, match="device=cuda:1: must be auto or cpu"):
        check_device("cuda:1")
    check_device("auto", cuda_graph=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="cuda_graph=True: must be false: this"):
        check_device("auto", cuda_graph=True)


def test_a_configuration_can_be_read_back_from_plain_data() -> None:
    checked = check(compose(["arch=bottleneck", "optimizer.lr=0.5"]))
    again = json.loads(json.dumps(checked.described()))
    assert check(OmegaConf.create(again)) == checked
    assert (
        again["arch"]["name"] == "bottleneck" and again["optimizer"]["step_rule"]["name"] == "paper"
    )


def test_the_package_carries_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "nglab"
    monkeypatch.setattr(composing, "__file__", str(installed / "settings" / "composing.py"))
    assert composing.conf_dir() == installed / "conf"
    (tmp_path / "conf").mkdir()
    OmegaConf.save({}, tmp_path / "conf" / "config.yaml")
    assert composing.conf_dir() == tmp_path / "conf"


def test_uv_and_pip_are_given_the_same_versions() -> None:
    project = tomllib.loads((CONF.parent / "pyproject.toml").read_text())
    pins = project["tool"]["uv"]["constraint-dependencies"]
    assert set(pins) <= set((CONF.parent / "constraints.txt").read_text().splitlines())
    needed = {re.split("[<>=]", package)[0] for package in project["project"]["dependencies"]}
    assert {pin.partition("==")[0] for pin in pins} == needed
