import pickle

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import OmegaConf

from nglab.settings.composing import conf_dir
from nglab.sweeps.shared_composing import Kept, SharedConfigLoader, hands_off

JOBS = [
    ["optimizer=sgd", "optimizer.lr=0.1"],
    ["optimizer=sgd", "optimizer.lr=0.2", "hydra.job.name=other"],
    ["optimizer=ngd", "arch=bottleneck", "optimizer.damping.initial=0.5"],
    ["optimizer=ngd", "arch=mnist_autoencoder", "+extra=1"],
    ["optimizer=sgd", "optimizer.lr=0.1"],
]


@pytest.fixture
def loaders():
    """Hydra's own and ours."""
    version.setbase("1.3")
    return [
        loader(create_config_search_path(str(conf_dir())))
        for loader in (ConfigLoaderImpl, SharedConfigLoader)
    ]


def compose(loader, job):
    return loader.load_configuration("config", job, RunMode.RUN)


def test_what_jobs_share_is_composed_as_each_job_alone_would_be(loaders):
    theirs, ours = loaders
    plain = [OmegaConf.to_yaml(hands_off(compose(theirs, job))) for job in JOBS]
    assert [OmegaConf.to_yaml(compose(ours, job)) for job in JOBS] == plain
    compose(ours, JOBS[0]).optimizer.lr = 7
    assert [OmegaConf.to_yaml(compose(ours, job)) for job in JOBS] == plain
    elsewhere = pickle.loads(pickle.dumps(ours))  # as launchers send it to their processes
    assert not elsewhere.composed.made
    assert [OmegaConf.to_yaml(compose(elsewhere, job)) for job in JOBS] == plain


def test_each_job_is_composed_once(loaders, monkeypatch):
    composed = []
    original = ConfigLoaderImpl.load_configuration

    def counted(loader, name, overrides, *rest):
        composed.append(overrides)
        return original(loader, name, overrides, *rest)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    for job in JOBS * 3:
        compose(loaders[1], job)
    assert composed == JOBS[:-1]


def test_files_of_one_name_in_other_folders_are_other_files(loaders, tmp_path):
    for folder, rate in (("a", 0.5), ("b", 0.25)):
        (tmp_path / folder / "optimizer").mkdir(parents=True)
        (tmp_path / folder / "optimizer" / "mine.yaml").write_text(f"defaults: [sgd]\nlr: {rate}\n")
    places = [
        ["optimizer=mine", f"hydra.searchpath=['file://{tmp_path / folder}']"] for folder in "ab"
    ]
    assert [compose(loaders[1], job).optimizer.lr for job in places] == [0.5, 0.25]


def test_hydra_is_left_nothing_to_write(loaders):
    cfg = compose(loaders[1], ["hydra.output_subdir=mine"])
    assert cfg.hydra.output_subdir is None
    assert cfg.hydra.job_logging.handlers.file.delay


def test_an_error_is_not_kept():
    calls, kept = [], Kept()

    def fails_at_first():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return [3]

    with pytest.raises(ValueError):
        kept.get(("key",), fails_at_first)
    first, second = (kept.get(("key",), fails_at_first) for _ in range(2))
    assert first == second == [3] and first is not second
    assert len(calls) == 2


def test_each_file_is_read_once_however_many_jobs(loaders, monkeypatch):
    read, original = [], ConfigRepository.load_config

    def counted(repository, path):
        read.append(path)
        return original(repository, path)

    monkeypatch.setattr(ConfigRepository, "load_config", counted)
    for seed in range(3):
        compose(loaders[1], [f"seed={seed}"])
    assert read and len(set(read)) == len(read)
