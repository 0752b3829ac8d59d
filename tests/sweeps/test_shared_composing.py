import pytest
from omegaconf import OmegaConf

from nglab.settings.composing import compose_all
from nglab.sweeps.shared_composing import composing_once, kept

JOBS = [
    ["optimizer=sgd", "optimizer.lr=0.1"],
    ["optimizer=sgd", "optimizer.lr=0.2", "hydra.job.name=other"],
    ["optimizer=ngd", "arch=bottleneck", "optimizer.damping.initial=0.5"],
    ["optimizer=ngd", "arch=mnist_autoencoder", "+extra=1"],
    ["optimizer=sgd", "optimizer.lr=0.1"],
]


def test_what_jobs_share_is_composed_as_each_job_alone_would_be():
    plain = [OmegaConf.to_yaml(cfg) for cfg in compose_all(JOBS)]
    with composing_once():
        assert [OmegaConf.to_yaml(cfg) for cfg in compose_all(JOBS)] == plain
        compose_all(JOBS)[0].optimizer.lr = 7
        assert [OmegaConf.to_yaml(cfg) for cfg in compose_all(JOBS)] == plain


def test_files_of_one_name_in_other_folders_are_other_files(tmp_path):
    for folder, rate in (("a", 0.5), ("b", 0.25)):
        (tmp_path / folder / "optimizer").mkdir(parents=True)
        (tmp_path / folder / "optimizer" / "mine.yaml").write_text(f"defaults: [sgd]\nlr: {rate}\n")
    job = ["optimizer=mine"]
    places = [[*job, f"hydra.searchpath=['file://{tmp_path / f}']"] for f in "ab"]
    with composing_once():
        assert [cfg.optimizer.lr for cfg in compose_all(places)] == [0.5, 0.25]


def test_an_error_is_not_kept():
    calls = []

    def fails_at_first(argument):
        calls.append(argument)
        if len(calls) == 1:
            raise ValueError
        return [argument]

    once = kept(fails_at_first, lambda argument: (argument,))
    with pytest.raises(ValueError):
        once(3)
    assert once(3) == once(3) == [3]
    assert once(3) is not once(3)
    assert calls == [3, 3]
