"""Whose a folder is, however a run is started there; runs and sweeps killed (SIGKILL) and started again."""

import json
import os
import pickle
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode
from omegaconf import OmegaConf

from nglab import cli
from nglab.errors import InputError
from nglab.native.arithmetic import arithmetic
from nglab.runs.config import check
from nglab.runs.folder import write_json
from nglab.runs.ownership import alone_in, take
from nglab.runs.run import run
from nglab.runs.status import OWNER
from nglab.runs.table import find_runs, read_run
from nglab.runs.versions import versions
from nglab.settings.composing import compose, conf_dir
from nglab.sweeps.asked import asking
from nglab.sweeps.shared_composing import SharedConfigLoader

LONG = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
        "optimizer.batch_size=20", "train.eval_every_examples=500"]  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def nglab(*arguments):
    """A command in a process of its own; its status and what it printed."""
    return waited(started(lambda: cli.main(list(arguments))))


def started(work):
    """`work()`, which returns an exit status, in a process of its own."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with Path(f"said.{os.getpid()}").open("w") as said:
            sys.stdout = sys.stderr = said
            status = work()
    except SystemExit as exit:
        status = int(exit.code or 0)
    finally:
        os._exit(status)


def waited(pid):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, Path(f"said.{pid}").read_text()


def start(*command):
    """`nglab run` in a process of its own."""
    return started(lambda: cli.main(["run", *command]))


def killed_again_and_again(kills, *command):
    """Kill the command `kills` times at random moments, looking at what it leaves; then let it end."""
    moments = random.Random(0)
    for _ in range(kills):
        pid = start(*command)
        time.sleep(moments.uniform(0.2, 0.9))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):  # it was faster
            assert os.waitstatus_to_exitcode(status) == 0
            return
        if any(Path("here").rglob("metrics.csv")):
            for folder in find_runs([Path("here")]):
                assert read_run(folder).summary["status"] in ("finished", "unfinished")
    assert os.waitstatus_to_exitcode(os.waitpid(start(*command), 0)[1]) == 0


def assert_equal_but_for_the_clock(one, other, **tolerance):
    a, b = read_run(one), read_run(other)
    assert a.summary["status"] == b.summary["status"] == "finished"
    assert a.metrics.train_seconds.is_monotonic_increasing
    clock = "train_seconds"
    pd.testing.assert_frame_equal(
        a.metrics.drop(columns=clock), b.metrics.drop(columns=clock), **tolerance
    )
    names = {p.name for p in one.iterdir()}
    assert names == {p.name for p in other.iterdir()} and "checkpoint.pt" not in names


@pytest.mark.parametrize(("optimizer", "passes"), [("sgd", 5000), ("ngd", 1200)])
def test_a_killed_run_goes_on_bit_for_bit(optimizer, passes):
    command = [
        *LONG,
        f"optimizer={optimizer}",
        f"train.passes={passes}",
        "train.checkpoint_every=1000",
    ]
    pid = start(*command, "hydra.run.dir=here")
    while not (Path("here/checkpoint.pt").exists() or os.waitpid(pid, os.WNOHANG)[0]):
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    killed_again_and_again(4, *command, "hydra.run.dir=here")
    assert os.waitpid(start(*command, "hydra.run.dir=undisturbed"), 0)[1] == 0
    assert_equal_but_for_the_clock(Path("here"), Path("undisturbed"), check_exact=True)
    assert "going on from step" in Path("here/nglab.log").read_text()


@pytest.mark.parametrize("launcher", ["sequential", "stacked"])
def test_a_killed_sweep_ends_as_if_undisturbed(launcher):
    command = ["-m", *LONG, "optimizer=sgd", "seed=0,1", "optimizer.lr=0.1,0.2", "train.passes=150",
               f"hydra/launcher={launcher}"]  # fmt: skip
    killed_again_and_again(4, *command, "hydra.sweep.dir=here")
    assert os.waitpid(start(*command, "hydra.sweep.dir=undisturbed"), 0)[1] == 0
    for i in range(4):
        assert_equal_but_for_the_clock(Path(f"here/{i}"), Path(f"undisturbed/{i}"), rtol=1e-9)


SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer=sgd", "optimizer.batch_size=20", "train.passes=2"]  # fmt: skip


def own_primary(_):
    """A configuration of the user's own, as nglab's but for its name."""
    Path("mine").mkdir(exist_ok=True)
    shutil.copy(conf_dir() / "config.yaml", "mine/mine.yaml")
    return ["run", "--config-dir", "mine", "--config-name", "mine"]


def own_folder(_):
    shutil.copytree(conf_dir(), "conf", dirs_exist_ok=True)
    return ["run", "--config-path", "conf"]


def saved(overrides):
    """What Hydra's callback saves of a job in `here`, for --experimental-rerun."""
    loader = SharedConfigLoader(create_config_search_path(str(conf_dir())))
    cfg = loader.load_configuration("config", overrides, RunMode.RUN)
    cfg.hydra.mode, cfg.hydra.runtime.output_dir = RunMode.RUN, str(Path("here").absolute())
    Path("job.pickle").write_bytes(pickle.dumps(cfg))
    return ["run", "--experimental-rerun", "job.pickle"]


def asked(overrides):
    """A run that a program asks for."""
    try:
        with asking(Path("asked")) as jobs:
            jobs.launch([jobs.job("mine", overrides)])
    except InputError as error:
        print(error)
        return 2
    return 0


def sweep(launcher):
    return "sweep/0", lambda o: cli.main(
        ["run", "-m", *o, "seed=0,1", f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep"]
    )


def single(arguments):
    return "here", lambda o: cli.main([*arguments(o), *o, "hydra.run.dir=here"])


WAYS = {  # of starting: the run's folder, and what starts it with some overrides
    "run": single(lambda _: ["run"]),
    "config-dir": single(own_primary),
    "config-path": single(own_folder),
    "rerun": ("here", lambda o: cli.main(saved(o))),
    "sequential": sweep("sequential"),
    "stacked": sweep("stacked"),
    "basic": sweep("basic"),
    "asked": ("asked/mine", asked),
}
GO_ON = ("sequential", "stacked", "basic", "asked")
"""The ways that leave a finished run alone instead of refusing it."""


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def folder_of(way):
    return Path(WAYS[way][0])


def begin(way, overrides):
    return started(lambda: WAYS[way][1](overrides))


def stands(folder, overrides):
    """A finished run."""
    folder.mkdir(parents=True)
    composed = compose(overrides)
    run(check(composed), folder, progress=False)
    (folder / ".hydra").mkdir()
    OmegaConf.save(composed, folder / ".hydra" / "config.yaml")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rate_of(folder):
    return read_run(folder).config.optimizer.lr


OTHER, MINE = [*SMALL, "optimizer.lr=0.1"], [*SMALL, "optimizer.lr=0.2"]


def finished_run(folder):
    stands(folder, OTHER)


def with_an_empty_configuration(folder):
    stands(folder, OTHER)
    (folder / ".hydra" / "config.yaml").write_text("")


def summary_alone(folder):
    stands(folder, OTHER)
    (folder / "metrics.csv").unlink()


def made_before_runs_said_whose_they_are(folder):
    stands(folder, MINE)
    (folder / OWNER).unlink()


def stopped_under_other_versions(folder):
    stopped_with(folder, {"torch": "1.0"})


def stopped_with_another_blas(folder):
    stopped_with(folder, {"blas": "Abacus 1.0"})


def stopped_with_other_kernels(folder):
    stopped_with(folder, {"native": "x86-64-v0"})


def stopped_with(folder, others):
    stands(folder, MINE)
    (folder / "summary.json").unlink()
    (folder / "checkpoint.pt").touch()
    owner = json.loads((folder / OWNER).read_text())
    write_json(folder / OWNER, {**owner, "versions": owner["versions"] | others})


STANDING = {
    finished_run: "of another configuration (optimizer.lr=0.1, here 0.2)",
    with_an_empty_configuration: "of another configuration (optimizer.lr=0.1, here 0.2)",
    summary_alone: "of another configuration (optimizer.lr=0.1, here 0.2)",
    made_before_runs_said_whose_they_are: "does not say whose it is (metrics.csv, summary.json, ",
    stopped_under_other_versions: "(torch=1.0, here ",
    stopped_with_another_blas: "(blas=Abacus 1.0, here ",
    stopped_with_other_kernels: "(native=x86-64-v0, here ",
}
OF_OTHERS = list(STANDING)[:4]
"""Beside these, a program's own jobs are trained."""


@pytest.mark.parametrize("standing", STANDING)
def test_what_stands_there_is_refused_and_left_as_it_is(standing, way):
    folder = folder_of(way)
    standing(folder)
    before = contents(folder)
    status, said = waited(begin(way, MINE))
    beside = folder.with_name(f"{folder.name}-2")
    elsewhere = way == "asked" and standing in OF_OTHERS
    assert elsewhere or STANDING[standing] in said
    assert (status, beside.exists()) == ((0, True) if elsewhere else (2, False))
    assert contents(folder) == before
    assert not (folder.parent / "1").exists()  # the other job of a sweep


def test_a_finished_run_is_refused_or_left_alone(way):
    folder = folder_of(way)
    stands(folder, MINE)
    before = contents(folder)
    status, said = waited(begin(way, MINE))
    assert status == (0 if way in GO_ON else 2)
    assert way in GO_ON or "holds a run already (finished)" in said
    assert contents(folder) == before


@pytest.mark.parametrize("way", ["run", "config-dir", "sequential", "stacked", "basic", "asked"])
def test_of_two_processes_at_once_one_has_the_folder(way):
    folder = folder_of(way)
    pids = [begin(way, overrides) for overrides in (OTHER, MINE)]
    ends = [waited(pid) for pid in pids]
    record, beside = read_run(folder), folder.with_name(f"{folder.name}-2")
    if beside.exists():  # one waited for the other
        assert way == "asked" and {rate_of(folder), rate_of(beside)} == {0.1, 0.2}
        assert [status for status, _ in ends] == [0, 0], ends
        winner = rate_of(folder)
    else:
        assert sorted(status for status, _ in ends) == [0, 2], ends
        winner = [0.1, 0.2][ends[0][0] > 0]
    assert record.summary["status"] == "finished"
    assert rate_of(folder) == record.metrics.learning_rate[0] == winner
    assert OmegaConf.load(folder / ".hydra" / "config.yaml").optimizer.lr == winner


def test_what_replaces_the_rows_of_a_stopped_run_says_so(way):
    folder = folder_of(way)
    stands(folder, MINE)
    (folder / "summary.json").unlink()
    file = folder / "metrics.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))  # not all of them
    before, rows = contents(folder), len(read_run(folder).metrics)
    status, said = waited(begin(way, MINE))
    if way in GO_ON:
        said += (folder / "nglab.log").read_text()
        assert status == 0 and f"begun anew, in place of {rows} rows" in said
    else:
        assert status == 2 and "holds a run already (unfinished)" in said
        assert contents(folder) == before


def test_a_run_killed_before_its_first_row_begins():
    take(Path("here"), check(compose(MINE)).described())
    assert nglab("run", *MINE, "hydra.run.dir=here")[0] == 0
    assert rate_of(Path("here")) == 0.2


def test_how_often_a_run_is_saved_does_not_make_it_another():
    assert nglab("run", *MINE, "hydra.run.dir=here")[0] == 0
    status, said = nglab("run", *MINE, "train.checkpoint_every=7", "hydra.run.dir=here")
    assert status == 0 and "finished already" in said


def test_what_a_run_writes_down_at_its_start():
    take(Path("here"), check(compose(MINE)).described())
    owner = json.loads(Path("here/run.json").read_text())
    assert owner["config"]["optimizer"]["lr"] == 0.2
    assert owner["versions"]["torch"] == torch.__version__
    assert owner["versions"] == versions() | arithmetic()
    assert [path.name for path in Path("here").iterdir()] == ["run.json"]
    Path("here/run.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        take(Path("here"), check(compose(MINE)).described())


def test_hydras_rerun_goes_through_what_its_callback_has_saved():
    callback = "+hydra.callbacks.p._target_=hydra.experimental.callbacks.PickleJobInfoCallback"
    assert nglab("run", *MINE, callback, "hydra.run.dir=here")[0] == 0
    shutil.copy("here/.hydra/config.pickle", "job.pickle")
    shutil.rmtree("here")
    assert nglab("run", "--experimental-rerun", "job.pickle")[0] == 0
    assert rate_of(Path("here")) == 0.2


def test_classes_beside_the_users_configuration_can_be_imported():
    """By the command and by the processes that it starts."""
    Path("mine").mkdir()
    Path("mine/gentle.py").touch()
    Path("calling.py").write_text(
        "import subprocess, sys\nimport gentle\nfrom hydra.experimental.callback import Callback\n"
        "class Calling(Callback):\n"
        "    def on_job_end(self, config, **more):\n"
        "        code = 'import gentle, calling, pathlib; pathlib.Path(\"called\").touch()'\n"
        "        subprocess.run([sys.executable, '-P', '-c', code])\n"
    )
    callback = "+hydra.callbacks.c._target_=calling.Calling"
    assert nglab("run", "--config-dir", "mine", *MINE, callback)[0] == 0
    assert Path("called").exists()


def test_a_folder_of_a_killed_process_is_waited_for_until_its_workers_have_ended(tmp_path):
    """A worker forked from a process shares its lock, and may end after it."""
    ready, worker = os.pipe(), None
    owner = os.fork()
    if not owner:
        with alone_in(tmp_path):
            worker = os.fork()
            os.write(ready[1], b".") if worker else time.sleep(0.3)
            time.sleep(60 if worker else 0)
            os._exit(0)
    os.read(ready[0], 1)
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    with alone_in(tmp_path):
        pass
