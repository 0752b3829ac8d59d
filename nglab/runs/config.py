"""From YAML files and overrides to one checked, typed `Config`."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass, make_dataclass
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, get_args, get_type_hints

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from nglab.errors import InputError

ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "softplus")
SPLITS = ("equal", "pi")
FORMS = ("eq16", "shells", "tikhonov")
DTYPES = ("float64", "float32")
MNIST_PIXELS, MNIST_TRAIN, MNIST_TEST = 784, 60_000, 10_000


@dataclass
class ArchConfig:
    name: str
    widths: list[int]  # n_0 .. n_L
    activation: str  # φ of every layer but the last, which is linear
    bias: bool


@dataclass
class TeacherConfig:
    name: str
    train_examples: int
    test_examples: int
    noise_variance: float  # σ²
    spectrum_decay: float  # eigenvalue i of the inputs' covariance is exp(−spectrum_decay · i/n_0)


@dataclass
class MnistConfig:
    name: str
    train_examples: int
    test_examples: int
    root: str | None


@dataclass
class SGDConfig:
    name: str
    lr: float
    batch_size: int  # M


@dataclass
class DampingConfig:
    initial: float  # λ at the start
    min: float
    split: str  # how λ is shared between the two factors


@dataclass
class NGDConfig:
    name: str
    lr: float  # α
    batch_size: int  # M
    samples: int  # K
    damping: DampingConfig


@dataclass
class RuleConfig:
    initial: float  # λ at the start
    min: float


@dataclass
class NGDExactConfig:
    name: str
    form: str  # how δ is computed, nglab/linear.py
    statistics: str  # Σ of the batch, or the teacher data's own
    lr: float  # α
    batch_size: int  # M
    cutoff: float  # what counts as out of a layer's reach
    damping: RuleConfig


OptimizerConfig = SGDConfig | NGDConfig | NGDExactConfig


@dataclass
class InitConfig:
    gain: float  # g: weights are N(0, g²/n_in)


@dataclass
class TrainConfig:
    passes: float
    eval_every_examples: int | None  # None: a tenth of the training set
    checkpoint_every: int | None  # examples; None: no checkpoints
    cuda_graph: bool  # steps captured in a CUDA graph


@dataclass
class Config:
    """One run. The YAML files hold every default."""

    arch: ArchConfig
    data: TeacherConfig | MnistConfig
    optimizer: OptimizerConfig
    init: InitConfig
    train: TrainConfig
    seed: int
    device: str
    dtype: str


DATA: dict[str, type] = {"teacher": TeacherConfig, "mnist": MnistConfig}
OPTIMIZERS: dict[str, type] = {"sgd": SGDConfig, "ngd": NGDConfig, "ngd_exact": NGDExactConfig}
TYPES: dict[object, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    int | None: "a whole number or null",
    list[int]: "a list of whole numbers, such as [20,30,20]",
    str: "text",
    str | None: "text or null",
}


def conf_dir() -> Path:
    """The folder of YAML files: the repository's, else the copy inside the installed package."""
    package = Path(__file__).parents[1]
    repository = package.parent / "conf"
    return repository if (repository / "config.yaml").is_file() else package / "conf"


def compose(overrides: list[str], name: str = "config") -> DictConfig:
    """`conf/<name>.yaml` under `overrides`, resolved; InputError for what cannot be composed."""
    (cfg,) = compose_all([overrides], name)
    return without_hydra(cfg)


def compose_all(jobs: Iterable[list[str]], name: str = "config") -> list[DictConfig]:
    """`conf/<name>.yaml` under each job's overrides, unresolved, Hydra's own section included."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            return [hydra.compose(name, job, return_hydra_config=True) for job in jobs]
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise InputError(explain(error, name)) from error


def without_hydra(cfg: DictConfig) -> DictConfig:
    """`cfg` as a job gets it, without Hydra's section, whatever points into that resolved."""
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    try:
        OmegaConf.resolve(cfg)
    except OmegaConfBaseException as error:
        raise InputError(str(error).splitlines()[0]) from error
    return cfg


def check(cfg: DictConfig) -> Config:
    """A composed configuration as a `Config`; InputError at the first wrong key, type or range.

    Whether `device` exists is for `check_device`: a sweep may be started where its jobs do not run.
    """
    config = typed(cfg)
    check_arch(config.arch)
    check_data(config.data, config.arch.widths)
    check_optimizer(config.optimizer, config.data.train_examples)
    check_exact(config)
    check_train(config)
    demand(0 < config.init.gain < inf, "init.gain", config.init.gain, "above 0 and finite")
    demand(0 <= config.seed < 2**63, "seed", config.seed, "from 0 to 2^63 − 1")
    demand(config.dtype in DTYPES, "dtype", config.dtype, one_of(DTYPES))
    demand(
        re.fullmatch(r"auto|cpu|cuda(:\d+)?", config.device) is not None,
        "device",
        config.device,
        "auto, cpu, cuda or cuda:<number>",
    )
    return config


def check_arch(arch: ArchConfig) -> None:
    demand(len(arch.widths) >= 2, "arch.widths", arch.widths, "two widths or more")
    demand(min(arch.widths) >= 1, "arch.widths", arch.widths, "widths of 1 or more")
    demand(arch.activation in ACTIVATIONS, "arch.activation", arch.activation, one_of(ACTIVATIONS))


def check_data(data: TeacherConfig | MnistConfig, widths: list[int]) -> None:
    demand(data.train_examples >= 1, "data.train_examples", data.train_examples, "1 or more")
    demand(data.test_examples >= 1, "data.test_examples", data.test_examples, "1 or more")
    if isinstance(data, TeacherConfig):
        noise, decay = data.noise_variance, data.spectrum_decay
        demand(0 <= noise < inf, "data.noise_variance", noise, "0 or more and finite")
        demand(0 <= decay < inf, "data.spectrum_decay", decay, "0 or more and finite")
    else:
        right = f"{MNIST_PIXELS} at both ends, since data=mnist is images of {MNIST_PIXELS} pixels"
        demand(widths[0] == widths[-1] == MNIST_PIXELS, "arch.widths", widths, right)
        check_split("train", data.train_examples, MNIST_TRAIN)
        check_split("test", data.test_examples, MNIST_TEST)


def check_split(split: str, examples: int, most: int) -> None:
    demand(examples <= most, f"data.{split}_examples", examples, f"at most {most}, all MNIST has")


def check_optimizer(optimizer: OptimizerConfig, train_examples: int) -> None:
    batch_size = optimizer.batch_size
    demand(0 < optimizer.lr < inf, "optimizer.lr", optimizer.lr, "above 0 and finite")
    demand(batch_size >= 1, "optimizer.batch_size", batch_size, "1 or more")
    right = f"at most data.train_examples={train_examples}"
    demand(batch_size <= train_examples, "optimizer.batch_size", batch_size, right)
    if isinstance(optimizer, NGDConfig | NGDExactConfig):
        right = "below 2: from there on a quadratic model predicts no decrease"
        demand(optimizer.lr < 2, "optimizer.lr", optimizer.lr, right)
        check_damping(optimizer.damping)
    if isinstance(optimizer, NGDConfig):
        demand(optimizer.samples >= 1, "optimizer.samples", optimizer.samples, "1 or more")


def check_damping(damping: DampingConfig | RuleConfig) -> None:
    key = "optimizer.damping"
    demand(0 < damping.initial < inf, f"{key}.initial", damping.initial, "above 0 and finite")
    right = f"from 0 to {key}.initial={damping.initial:g}"
    demand(0 <= damping.min <= damping.initial, f"{key}.min", damping.min, right)
    if isinstance(damping, DampingConfig):
        demand(damping.split in SPLITS, f"{key}.split", damping.split, one_of(SPLITS))


def check_exact(config: Config) -> None:
    """What optimizer=ngd_exact asks of the network and the data."""
    exact, arch = config.optimizer, config.arch
    if not isinstance(exact, NGDExactConfig):
        return
    right = "identity with optimizer=ngd_exact, which is for linear networks"
    demand(arch.activation == "identity", "arch.activation", arch.activation, right)
    demand(not arch.bias, "arch.bias", arch.bias, "false with optimizer=ngd_exact")
    demand(exact.form in FORMS, "optimizer.form", exact.form, one_of(FORMS))
    known = ["batch", "population"] if isinstance(config.data, TeacherConfig) else ["batch"]
    demand(exact.statistics in known, "optimizer.statistics", exact.statistics, one_of(known))
    demand(1e-6 <= exact.cutoff < 1, "optimizer.cutoff", exact.cutoff, "from 1e-6 to below 1")


def check_train(config: Config) -> None:
    passes = config.train.passes
    shortest = config.optimizer.batch_size / config.data.train_examples
    demand(
        shortest <= passes < inf,
        "train.passes",
        passes,
        f"{shortest:g} or more: one batch at least",
    )
    for key in ("eval_every_examples", "checkpoint_every"):
        every = getattr(config.train, key)
        demand(every is None or every >= 1, f"train.{key}", every, "1 or more, or null")
    if config.train.cuda_graph:
        demand(config.device != "cpu", "train.cuda_graph", True, "false with device=cpu")
        exact = isinstance(config.optimizer, NGDExactConfig)
        demand(not exact, "train.cuda_graph", True, "false with optimizer=ngd_exact")


def plain(config: Config) -> dict[str, Any]:
    """The configuration as JSON holds it; equal for two runs that are the same run."""
    return asdict(config)


def timeless(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A `plain` configuration less what does not change a result: how often its state is saved."""
    return {**settings, "train": {**settings["train"], "checkpoint_every": None}}


def check_device(device: str, cuda_graph: bool = False) -> None:
    """InputError where this machine lacks the GPU asked for."""
    if not (device.startswith("cuda") or cuda_graph):
        return
    import torch  # seconds: only where a GPU is asked for

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    demand(count > 0 or not cuda_graph, "train.cuda_graph", True, "false: this machine has no GPU")
    index = int(device.partition(":")[2] or 0)
    demand(index < count, "device", device, f"auto or cpu: this machine has {count} GPU")


def typed(cfg: DictConfig) -> Config:
    """Merge into the schema that `data.name` and `optimizer.name` choose."""
    types = get_type_hints(Config) | {
        "data": chosen(cfg, "data", DATA),
        "optimizer": chosen(cfg, "optimizer", OPTIMIZERS),
    }
    try:
        merged = OmegaConf.merge(OmegaConf.structured(make_dataclass("Run", types.items())), cfg)
        config = Config(**vars(OmegaConf.to_object(merged)))
    except ConfigKeyError as error:
        raise InputError(unknown_key(str(error.full_key), known_keys())) from error
    except OmegaConfBaseException as error:
        raise InputError(wrong_value(error, cfg)) from error
    return config


def chosen(cfg: DictConfig, group: str, types: dict[str, type]) -> type:
    name = OmegaConf.select(cfg, f"{group}.name")
    demand(name in types, f"{group}.name", name, one_of(types))
    return types[name]


def explain(error: Exception, name: str = "config") -> str:
    """One line for what Hydra could not compose from `conf/<name>.yaml`."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        reason = error.message.partition("\nSee http")[0].splitlines()[-1]
        return f"{error.override}: must be key=value ({reason})"
    if sweep := re.match(r"Ambiguous value for argument '(.+)'", text):
        return f"{sweep[1]}: several values; a sweep needs -m, a list needs brackets"
    if key := re.match(r"Could not override '([^']+)'", text):
        known = known_keys() if name == "config" else [str(key) for key in hydra.compose(name)]
        return unknown_key(key[1], known)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: no such option; {near(option, error.options)}"
    return "; ".join(str(e).splitlines()[0] for e in (error, error.__cause__) if e and str(e))


def wrong_value(error: OmegaConfBaseException, cfg: DictConfig) -> str:
    """One line for a value that does not fit the type of its key."""
    key = str(error.full_key).partition("[")[0]
    hint = known_keys().get(key)
    if hint is None:  # what could not be resolved
        return str(error).splitlines()[0]
    wanted = TYPES.get(hint, "a group of keys")
    return f"{key}={OmegaConf.select(cfg, key)}: must be {wanted}"


def demand(right: bool, key: str, value: object, wanted: str) -> None:
    if not right:
        raise InputError(f"{key}={value}: must be {wanted}")


def one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(names)}"


def unknown_key(key: str, known: Collection[str]) -> str:
    """The message for a key that cannot be set, with the nearest of the `known` keys."""
    if key.startswith("hydra"):
        return f"{key}: no such key; nglab run --cfg hydra shows Hydra's"
    if key in known:
        return f"{key}: not a key of the chosen {key.partition('.')[0]}"
    return f"{key}: no such key; {near(key, known)}"


def near(word: str, known: Collection[str]) -> str:
    """The `known` words whose last part is nearest, as a question; else those beside it."""
    ending = {key: key.rpartition(".")[2] for key in (word, *known)}
    match = get_close_matches(ending[word], [ending[key] for key in known], n=1)
    close = [key for key in known if ending[key] in match]
    if close:
        return f"did you mean {' or '.join(close)}?"
    siblings = [key for key in known if key.startswith(word.partition(".")[0] + ".")]
    return f"there are {', '.join(siblings or (key for key in known if '.' not in key))}"


def known_keys(schema: object = Config, prefix: str = "") -> dict[str, object]:
    """Every dotted key that some choice of data and optimizer has, with its type."""
    keys = {}
    for name, hint in get_type_hints(schema).items():
        keys[prefix + name] = hint
        for option in filter(is_dataclass, get_args(hint) or (hint,)):
            keys |= known_keys(option, f"{prefix}{name}.")
    return keys
