"""Work dealt out to processes, some of which are killed."""

import multiprocessing
import os
import signal
import sys
import time

import pytest

from nglab.runs.ownership import alone_in, at_work
from nglab.runs.signals import Interrupted, ending_by_exception
from nglab.sweeps.workers import Lost, at_a_job, in_processes, passing_on

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux"),
    pytest.mark.usefixtures("signals_heard"),
]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_order(count):
    assert in_processes(lambda n: n * n, range(9), count) == [n * n for n in range(9)]


def die(n):
    if n in (1, 2):
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 4:
        os._exit(7)
    return n


def test_what_is_killed_costs_its_own_result_alone():
    results = in_processes(die, range(6), 2)
    assert results == [0, Lost(-signal.SIGKILL), Lost(-signal.SIGKILL), 3, Lost(7), 5]
    assert str(results[1]) == "its process was ended by SIGKILL"
    assert str(results[4]) == "its process ended with status 7"


def test_what_is_raised_is_raised_here_when_the_others_have_ended(tmp_path):
    def work(n):
        if n == 0:
            raise SystemExit(2)
        time.sleep(0.1)
        (tmp_path / str(n)).touch()

    with pytest.raises(SystemExit):
        in_processes(work, range(20), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_signal_goes_to_the_workers_and_they_may_end_what_they_write(tmp_path):
    folders = [tmp_path / str(n) for n in range(2)]
    parent = os.getpid()

    def work(n):
        folders[n].mkdir()
        with alone_in(folders[n]):
            try:
                while not all(map(at_work, folders)):
                    time.sleep(0.01)
                if n == 0:
                    os.kill(parent, signal.SIGTERM)
                time.sleep(60)
            except Interrupted:
                time.sleep(0.1)
                (folders[n] / "written").touch()
                raise

    with ending_by_exception(), pytest.raises(Interrupted), passing_on(folders):
        in_processes(work, range(2), 2)
    assert all((folder / "written").exists() for folder in folders)
    assert not any(map(at_work, folders))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_launchers_worker_is_ended_within_jobs_or_at_the_next(number, tmp_path):
    """Never between them, where it may be sending a result."""

    def work():
        with at_a_job():
            pass
        signal.raise_signal(number)
        (tmp_path / "sent").touch()
        with at_a_job():
            (tmp_path / "next").touch()

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -number
    assert [path.name for path in tmp_path.iterdir()] == ["sent"]
