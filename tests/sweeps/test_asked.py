"""Jobs that a program asks for."""

import logging
import shutil
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from nglab.errors import InputError
from nglab.runs.ownership import alone_in
from nglab.runs.run import run
from nglab.runs.table import find_runs, read_run
from nglab.settings.composing import compose
from nglab.sweeps.asked import asking, compose_beside, unfinished

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20", "train.passes=2"]  # fmt: skip

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def trained(monkeypatch):
    """The folders of what is trained."""
    folders = []

    def counted(config, folder, **more):
        folders.append(folder)
        return run(config, folder, **more)

    monkeypatch.setattr("nglab.runs.run.run", counted)
    return folders


def test_a_job_is_trained_in_its_place_and_not_again(trained):
    for _ in range(2):
        with asking(Path("here")) as jobs:
            wanted = [jobs.job(f"a/{seed}", [*SMALL, f"seed={seed}"]) for seed in (3, 5)]
            jobs.launch(wanted)
            assert unfinished(wanted) == []
    assert trained == [Path(f"here/a/{seed}").absolute() for seed in (3, 5)]
    record = read_run(Path("here/a/5"))
    assert record.summary["status"] == "finished" and record.config.seed == 5
    assert record.config.optimizer.batch_size == 20
    assert "finished: " in Path("here/a/5/nglab.log").read_text()
    assert sorted(path.name for path in Path("here").iterdir()) == ["a"]


def test_what_was_stopped_begins_again(trained):
    with asking(Path("here")) as jobs:
        wanted = [jobs.job(str(seed), [*SMALL, f"seed={seed}"]) for seed in (0, 1)]
        jobs.launch(wanted)
        Path("here/1/summary.json").unlink()
        assert unfinished(wanted) == wanted[1:]
        jobs.launch(wanted)
    assert len(trained) == 3 and read_run(Path("here/1")).summary["status"] == "finished"


@pytest.mark.parametrize(
    "place", ["lr=0.01,batch_size=20", "it's", "a b", "(x)", "ü=½", "back\\slash"]
)
def test_a_place_may_have_any_name(place):
    with asking(Path("in [here]")) as jobs:
        job = jobs.job(f"{place}/0", SMALL)
        jobs.launch([job])
    assert find_runs([Path("in [here]")]) == [Path("in [here]") / place / "0"]
    assert job.folder == Path.cwd() / "in [here]" / place / "0"


def test_the_launcher_is_chosen_by_its_words():
    words = ["hydra/launcher=stacked", "hydra.launcher.processes=1"]
    with asking(Path("here"), words) as jobs:
        jobs.launch([jobs.job(str(seed), [*SMALL, f"seed={seed}"]) for seed in range(3)])
    assert [read_run(folder).summary["stacked"] for folder in find_runs([Path("here")])] == [3] * 3


def test_nothing_is_said_on_the_terminal(capsys):
    with asking(Path("here")) as jobs:
        jobs.launch([jobs.job("0", SMALL)])
    shown = capsys.readouterr()
    assert shown.out == "" and "\n" not in shown.err.strip()  # at most the bar
    assert not [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]


@pytest.mark.parametrize(
    ("words", "overrides", "message"),
    [
        (["hydra/launcher=nope"], SMALL, "hydra/launcher=nope: no such option"),
        (["hydra.launcher.nope=1"], SMALL, "hydra.launcher.nope: no such key"),
        ([], [*SMALL, "optimizer.lrr=1"], "optimizer.lrr: no such key; did you mean optimizer.lr?"),
        ([], [*SMALL, "optimizer.lr=0"], "optimizer.lr=0: must be a number, above 0"),
        ([], [*SMALL, "optimizer=sdg"], "optimizer=sdg: no such option; did you mean sgd?"),
    ],
)
def test_wrong_words_are_named_and_no_folder_is_left(words, overrides, message):
    with pytest.raises(InputError) as error, asking(Path("new/here"), words) as jobs:
        jobs.job("0", overrides)
    assert message in str(error.value)
    assert not list(Path.cwd().iterdir())
    assert not GlobalHydra.instance().is_initialized()


def test_wrong_words_leave_what_is_there():
    Path("here").mkdir()
    with pytest.raises(InputError), asking(Path("here")) as jobs:
        jobs.job("0", ["optimizer.lrr=1"])
    assert Path("here").exists()
    with pytest.raises(InputError), asking(Path("new")) as jobs:
        jobs.launch([jobs.job("0", SMALL)])
        jobs.job("1", ["optimizer.lrr=1"])
    assert find_runs([Path("new")])


def test_the_run_of_another_is_named_and_left_alone_and_the_job_trained_beside_it(
    trained, monkeypatch
):
    said = []
    monkeypatch.setattr("nglab.sweeps.asked.log.warning", lambda text, *of: said.append(text % of))
    with asking(Path("here")) as jobs:
        for seed in (1, 2, 3, 2):
            jobs.launch([jobs.job("1", [*SMALL, f"seed={seed}"])])
    assert {folder.name: read_run(folder).config.seed for folder in find_runs([Path("here")])} == {
        "1": 1, "1-2": 2, "1-3": 3
    }  # fmt: skip
    assert len(trained) == 3
    named = "another configuration (seed=1, here 2): left alone; this one is trained beside it"
    assert sum(named in text for text in said) == 1


def test_a_run_that_does_not_say_whose_it_is_is_left_alone_too(trained):
    Path("here/1").mkdir(parents=True)
    Path("here/1/metrics.csv").write_text("of long ago")
    with asking(Path("here")) as jobs:
        jobs.launch([jobs.job("1", SMALL)])
    assert trained and Path("here/1/metrics.csv").read_text() == "of long ago"
    assert read_run(Path("here/1-2")).summary["status"] == "finished"


def test_the_folder_is_ones_own_meanwhile():
    Path("here").mkdir()
    with (
        alone_in(Path("here")),
        pytest.raises(InputError, match="another nglab is at work"),
        asking(Path("here")),
    ):
        pass
    with asking(Path("here")):
        pass


def test_what_a_job_raises_is_raised(monkeypatch):
    def failing(*_, **more):
        raise ZeroDivisionError("unlucky")

    monkeypatch.setattr("nglab.runs.run.run", failing)
    with pytest.raises(Exception, match="unlucky"), asking(Path("here")) as jobs:
        jobs.launch([jobs.job("0", SMALL)])
    assert "Traceback" in Path("here/0/nglab.log").read_text()


def test_options_from_a_folder_of_ones_own():
    Path("mine/optimizer").mkdir(parents=True)
    text = shutil.copy(
        Path(compose.__code__.co_filename).parents[2] / "conf/optimizer/sgd.yaml", "mine"
    )
    Path("mine/optimizer/gentle.yaml").write_text(
        Path(text).read_text().replace("lr: 0.01", "lr: 0.007")
    )
    with asking(Path("here"), config_dir="mine") as jobs:
        assert jobs.job("0", ["optimizer=gentle"]).config.optimizer.lr == 0.007
    Path("mine/race").mkdir()
    Path("mine/race/quick.yaml").write_text("# @package _global_\nseeds: 3\n")
    config = compose_beside(["race=quick"], "race", "mine")
    assert config.seeds == 3 and config.out == "outputs/race/quick"
