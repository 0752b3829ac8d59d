"""`.hydra/`, entry by entry: what Hydra would have written."""

from itertools import product
from pathlib import Path

import pytest
from hydra import version
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import _save_config, setup_globals
from hydra.types import RunMode
from omegaconf import OmegaConf, open_dict

from nglab.settings.composing import conf_dir
from nglab.sweeps.hydra_files import as_yaml, write_hydra_files
from nglab.sweeps.shared_composing import SharedConfigLoader

SCALARS = [
    0, -1.5, 1e-12, float("inf"), True, None, "", "word", "two words", "0.1", "true", "null", "1e3",
    "Größe λ", "a: b", "# no comment", "- item", "'quoted'", '"', "line\nline\n", " padded ", "x" * 200,
    "many words " * 20, "${a.b}", "???", "{", "[1", "%Y-%m-%d_%H-%M-%S", "*", "&x", "!tag", "0x1F", "1_000",
]  # fmt: skip
ODD = [
    {"a": {}, "b": [], "c": {"d": {}}, "e": [[]]},
    {"a": {"b": {"c": {"d": [1, {"e": [{"f": 1, "g": {}}, 2]}]}}}},
    {"with space": 1, "0": 2, "true": {"null": 3}, "λ": {"long " * 20: {"a": 1}}, "a:b": {"#": {"x": 1}}},
    {2: {2: 3}, True: {"a": 1}, 1.5: {"b": {"c": 2}}},
    {},
]  # fmt: skip


@pytest.mark.parametrize("values", ODD, ids=range(len(ODD)))
def test_odd_keys_and_containers_are_as_omegaconf_writes_them(values) -> None:
    assert as_yaml(values) == OmegaConf.to_yaml(OmegaConf.create(values))


@pytest.mark.parametrize("depth", [0, 1, 4, 30])
def test_every_kind_of_value_is_as_omegaconf_writes_it(depth: int) -> None:
    values: dict = {f"key{i}": value for i, value in enumerate(SCALARS)} | {"list": SCALARS}
    for level in range(depth):
        values = {f"level {level}": values, "after": level}
    for _ in range(2):  # dumped, then known
        assert as_yaml(values) == OmegaConf.to_yaml(OmegaConf.create(values))


def test_what_is_equal_but_not_the_same_is_told_apart() -> None:
    for values in ({"a": 1}, {"a": 1.0}, {"a": True}, {"a": "1"}):
        assert as_yaml(values) == OmegaConf.to_yaml(OmegaConf.create(values))


@pytest.mark.parametrize(
    ("arch", "optimizer"), list(product(["square", "mnist_autoencoder"], ["sgd", "ngd", "krylov"]))
)
def test_a_jobs_files_are_those_that_hydra_writes(arch: str, optimizer: str, tmp_path: Path):
    version.setbase("1.3")
    setup_globals()
    loader = SharedConfigLoader(create_config_search_path(str(conf_dir())))
    for seed in (0, 1):
        overrides = [f"arch={arch}", f"optimizer={optimizer}", f"seed={seed}", "+extra={a: [1, x]}"]
        cfg = loader.load_configuration("config", overrides, RunMode.RUN)
        with open_dict(cfg.hydra):
            cfg.hydra.job.num, cfg.hydra.runtime.output_dir = seed, str(tmp_path / str(seed))
        (tmp_path / str(seed)).mkdir()
        write_hydra_files(cfg)
        theirs = tmp_path / f"theirs {seed}"
        keys = [key for key in cfg if key != "hydra"]
        _save_config(OmegaConf.masked_copy(cfg, keys), "config.yaml", theirs)
        _save_config(OmegaConf.masked_copy(cfg, ["hydra"]), "hydra.yaml", theirs)
        _save_config(cfg.hydra.overrides.task, "overrides.yaml", theirs)
        for name in ("config.yaml", "hydra.yaml", "overrides.yaml"):
            assert (tmp_path / str(seed) / ".hydra" / name).read_bytes() == (
                theirs / name
            ).read_bytes()
