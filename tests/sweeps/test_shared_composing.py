import pickle

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import OmegaConf

from nglab.settings.composing import conf_dir
from nglab.sweeps.shared_composing import Kept, SharedConfigLoader, as_ours

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
    plain = [OmegaConf.to_yaml(as_ours(compose(theirs, job))) for job in JOBS]
    assert [OmegaConf.to_yaml(compose(ours, job)) for job in JOBS] == plain
    compose(ours, JOBS[0]).optimizer.lr = 7
    assert [OmegaConf.to_yaml(compose(ours, job)) for job in JOBS] == plain
    elsewhere = pickle.loads(pickle.dumps(ours))  # as launchers send it to their processes
    assert not elsewhere.composed.made
    assert [OmegaConf.to_yaml(compose(elsewhere, job)) for job in JOBS] == plain


VARIED = {  # jobs, and how many of them are composed: the others are varied
    "values": ([[f"seed={i}", f"optimizer.lr={0.1 * i}"] for i in range(4)], 1),
    "kinds of value": ([[f"seed={v}"] for v in ("1", "2.5", "true", "null", "a", "'b c'", "${dtype}")], 1),
    "an option with its own": ([[f"optimizer={o}", f"optimizer.lr={v}"] for o in ("sgd", "ngd") for v in (1, 2)], 2),
    "options after values": ([[f"optimizer.lr={v}", "optimizer=sgd"] for v in (1, 2)], 1),
    "folders": ([[f"hydra.sweep.subdir={v}", f"hydra.run.dir=d/{v}"] for v in "abc"], 1),
    "Hydra's own": ([[f"hydra.job.name={v}"] for v in "abc"], 3),
    "additions": ([[f"+mine={v}"] for v in (1, 2)], 2),
    "forced additions": ([[f"++mine={v}"] for v in (1, 2)], 2),
    "lists": ([[f"data.train_examples=[{v}]"] for v in (1, 2)], 2),
    "twice": ([["seed=7", f"seed={v}"] for v in (1, 2)], 1),
    "twice, otherwise": ([[f"seed={v}", "seed=7"] for v in (1, 2)], 1),
    "under a group of keys": ([[f"init.gain={v}", "init={gain: 3}"] for v in (1, 2)], 2),
    "over a group of keys": ([["init={gain: 3}", f"init.gain={v}"] for v in (1, 2)], 2),
    "before it is taken away": ([[f"init.gain={v}", "~init.gain"] for v in (1, 2)], 2),
    "within what is added": ([["+mine={a: 1}", f"mine.a={v}"] for v in (1, 2)], 2),
    "what holds another": ([[f"init={v}", "seed=1"] for v in (1, 2)], 1),
    "the order": ([["seed=1", "dtype=float32"], ["dtype=float32", "seed=1"]], 2),
    "the same": ([["seed=1"]] * 3, 1),
}  # fmt: skip


@pytest.fixture
def composed(monkeypatch):
    """The overrides of all that Hydra has composed for our loader."""
    found = []
    original = ConfigLoaderImpl.load_configuration

    def counted(loader, name, overrides, *rest):
        if isinstance(loader, SharedConfigLoader):
            found.append(overrides)
        return original(loader, name, overrides, *rest)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    return found


@pytest.mark.parametrize("jobs", VARIED)
def test_jobs_that_differ_in_values_alone_are_composed_once_and_as_hydra_composes_them(
    jobs, loaders, composed
):
    theirs, ours = loaders
    jobs, times = VARIED[jobs]
    for job in jobs * 2:
        one, other = compose(ours, job), as_ours(compose(theirs, job))
        assert OmegaConf.to_yaml(one) == OmegaConf.to_yaml(other)
        assert one.hydra.overrides == other.hydra.overrides
        for get in (OmegaConf.is_struct, OmegaConf.is_readonly, OmegaConf.get_type):
            assert get(one) == get(other) and get(one.hydra) == get(other.hydra)
    assert len(composed) == times


WRONG = [
    (["seed=1"], ["sed=2"]),
    (["optimizer=sgd", "optimizer.lr=1"], ["optimizer=sgd", "optimizer.rl=1"]),
    (["seed=1"], ["seed=1,2"]),
    (["seed=1"], ["seed=["]),
    (["hydra.run.dir=a"], ["hydra.run.dirs=a"]),
    (["optimizer=sgd"], ["optimizer=sdg"]),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_a_wrong_job_is_refused_as_hydra_refuses_it(right, wrong, loaders):
    for loader in loaders:
        compose(loader, right)
    messages = []
    for loader in loaders:
        with pytest.raises(Exception) as error:
            compose(loader, wrong)
        messages.append((type(error.value), str(error.value)))
    assert messages[0] == messages[1]


def test_a_group_that_only_a_search_path_has_is_no_value(tmp_path):
    version.setbase("1.3")
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "first.yaml").write_text("defaults: [{mine: a}, _self_]\n")
    (tmp_path / "more" / "mine").mkdir(parents=True)
    for name in "abc":
        (tmp_path / "more" / "mine" / f"{name}.yaml").write_text(f"letter: {name}\n")
    theirs, ours = (
        loader(create_config_search_path(str(tmp_path / "main")))
        for loader in (ConfigLoaderImpl, SharedConfigLoader)
    )
    place = f"hydra.searchpath=['file://{tmp_path / 'more'}']"
    for job in ("mine=a", "mine=b", "mine=c", "mine=b"):
        cfg = ours.load_configuration("first", [place, job], RunMode.RUN)
        plain = theirs.load_configuration("first", [place, job], RunMode.RUN)
        assert OmegaConf.to_yaml(cfg) == OmegaConf.to_yaml(as_ours(plain))
        assert cfg.mine.letter == job[-1]


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
