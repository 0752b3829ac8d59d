"""Signals that ask a run to end: what is written, who has them next."""

import os
import signal
import threading

import pandas as pd
import pytest

from nglab.runs.config import check
from nglab.runs.run import run
from nglab.runs.signals import ASKING, Interrupted, ending_by_exception, exit_status, holding
from nglab.runs.table import read_run
from nglab.settings.composing import compose
from nglab.training.clock import Clock

pytestmark = pytest.mark.usefixtures("signals_heard")

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer.batch_size=20", "train.eval_every_examples=150", "train.passes=9"]  # fmt: skip


@pytest.fixture
def at_step(monkeypatch):
    """`at_step(7, action)`: do it within the seventh chunk of steps."""

    def act(count, action):
        original, calls = Clock.__enter__, []

        def enter(clock):
            calls.append(clock)
            if len(calls) == count:
                action()
            original(clock)

        monkeypatch.setattr(Clock, "__enter__", enter)

    return act


def assert_same_rows(one, other):
    a, b = (read_run(folder).metrics.drop(columns="train_seconds") for folder in (one, other))
    pd.testing.assert_frame_equal(a, b, check_exact=True)


@pytest.mark.parametrize("optimizer", ["sgd", "ngd", "adam"])
@pytest.mark.parametrize("number", ASKING, ids=lambda number: number.name)
def test_an_interrupted_run_goes_on_bit_for_bit(number, optimizer, at_step, tmp_path):
    """From the step it was at, in the middle between two rows."""
    config = check(compose([*SMALL, f"optimizer={optimizer}"]))
    run(config, tmp_path / "undisturbed", progress=False)
    at_step(5, lambda: signal.raise_signal(number))
    with ending_by_exception(), pytest.raises(KeyboardInterrupt) as raised:
        run(config, tmp_path / "here", progress=False)
    assert exit_status(raised.value) == 128 + number
    record = read_run(tmp_path / "here")
    assert record.summary["status"] == "interrupted" and "traceback" not in record.summary
    assert (tmp_path / "here" / "checkpoint.pt").exists()
    run(config, tmp_path / "here", progress=False)
    assert read_run(tmp_path / "here").summary["status"] == "finished"
    assert not (tmp_path / "here" / "checkpoint.pt").exists()
    assert_same_rows(tmp_path / "here", tmp_path / "undisturbed")


def test_a_run_goes_on_where_a_launcher_wants_it_to(at_step, tmp_path):
    """As submitit does at a SIGTERM; the checkpoint is there meanwhile."""
    config, seen = check(compose([*SMALL, "optimizer=sgd"])), []
    with handler(signal.SIGTERM, lambda *_: seen.append((tmp_path / "checkpoint.pt").exists())):
        at_step(5, lambda: signal.raise_signal(signal.SIGTERM))
        assert run(config, tmp_path, progress=False)["status"] == "finished"
    assert seen == [True]


def test_a_launchers_own_way_to_end_a_job_is_no_failure(at_step, tmp_path):
    """As submitit does at a SIGUSR2, once it has put the job into the queue again."""

    def leave(*_):
        raise SystemExit(3)

    with handler(signal.SIGUSR2, leave):
        at_step(5, lambda: signal.raise_signal(signal.SIGUSR2))
        with pytest.raises(SystemExit):
            run(check(compose([*SMALL, "optimizer=sgd"])), tmp_path, progress=False)
    assert read_run(tmp_path).summary["status"] == "interrupted"
    assert (tmp_path / "checkpoint.pt").exists()


class handler:
    """A handler of a signal, for a while."""

    def __init__(self, number, function):
        self.number, self.function = number, function

    def __enter__(self):
        self.before = signal.signal(self.number, self.function)

    def __exit__(self, *_):
        signal.signal(self.number, self.before)


def test_what_nobody_handles_ends_the_process_after_all():
    def work():
        with holding() as signals:
            signal.raise_signal(signal.SIGTERM)
            assert signals.came
            try:
                signals.hand_on()
            except Interrupted:
                os.write(told[1], b"written")
                raise

    told = os.pipe()
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
    assert os.read(told[0], 20) == b"written"


def test_what_comes_too_late_for_the_run_comes_after_it():
    with ending_by_exception(), pytest.raises(Interrupted), holding() as signals:
        signal.raise_signal(signal.SIGUSR1)
        done = "not interrupted"
    assert done and signals.came


def test_the_same_signal_later_ends_at_once(monkeypatch):
    monkeypatch.setattr("nglab.runs.signals.AGAIN_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt), holding():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")


def test_ignored_signals_stay_ignored_and_handlers_come_back():
    before = {one: signal.getsignal(one) for one in ASKING}
    with handler(signal.SIGHUP, signal.SIG_IGN), ending_by_exception(), holding() as signals:
        signal.raise_signal(signal.SIGHUP)
        assert not signals.came
        assert signal.getsignal(signal.SIGINT) == signals.hold
    assert {one: signal.getsignal(one) for one in ASKING} == before


def test_in_another_thread_nothing_is_held():
    before = signal.getsignal(signal.SIGINT)

    def work():
        with holding():
            seen.append(signal.getsignal(signal.SIGINT))

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
