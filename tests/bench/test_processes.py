import os
from functools import partial

import pytest
from same_process import SameProcess, broken, idle

from nglab.bench import processes
from nglab.bench.processes import Contender, Worker, contest, environment, forget
from nglab.bench.timing import VENDOR, CouldNotRun
from nglab.native.vendor_check import lifted


@pytest.fixture(scope="module")
def vendor():
    before = os.environ.get("NGLAB_MKL")
    worker = Worker("vendor", 1)
    assert os.environ.get("NGLAB_MKL") == before
    yield worker
    worker.close()


def test_a_process_has_the_blas_that_it_was_started_with(vendor):
    assert vendor.ask(os.getenv, "NGLAB_MKL") == "vendor"
    assert not vendor.lifted and not vendor.ask(lifted)
    assert vendor.ask(os.getpid) != os.getpid()


def test_a_contender_is_made_and_timed_there(vendor):
    timed = vendor.timed("idle", idle)()
    assert 0 <= timed(3) < 1
    vendor.ask(forget)
    with pytest.raises(KeyError):
        timed(1)


def test_what_goes_wrong_there_is_told_here(vendor):
    with pytest.raises(CouldNotRun, match="Unsendable: too many"):
        vendor.timed("broken", broken)()


def test_where_nothing_is_lifted_the_vendors_runs_alone(monkeypatch):
    class Unlifted(SameProcess):
        def __init__(self, blas, threads):
            super().__init__(blas)
            self.lifted, self.pool = False, None

        def close(self):
            closed.append(self.blas)

    closed: list[str] = []
    monkeypatch.setattr(processes, "Worker", Unlifted)
    for asked in (["lifted", "vendor"], ["lifted"], ["vendor"]):
        with processes.workers(asked, 1) as started:
            assert [worker.blas for worker in started] == ["vendor"]
    assert sorted(closed) == ["lifted", "lifted", "vendor", "vendor", "vendor"]


def test_others_run_in_the_first_process_alone():
    here = [SameProcess("lifted"), SameProcess("vendor")]
    by_torch = {"ours": Contender(idle, 4), "broken": Contender(broken)}
    rows = contest(here, by_torch, {"JAX": Contender(idle)}, {"over_jax": "JAX"}, 2, "")
    rows = rows.set_index("contender")
    assert rows.blas.to_dict() == {
        "ours": "lifted", "JAX": "lifted", f"ours{VENDOR}": "vendor",
        "broken": "lifted", f"broken{VENDOR}": "vendor",
    }  # fmt: skip
    assert rows.over_jax[["ours", f"ours{VENDOR}"]].notna().all()
    assert rows.error["broken"] == "Unsendable: too many"
    assert not processes._held


def test_a_call_of_several_steps_is_told_by_the_step(monkeypatch):
    monkeypatch.setattr(processes, "seconds_of", lambda step, calls, clock: 1.0)
    contenders = {"one": Contender(idle), "ten": Contender(partial(idle), 10)}
    rows = contest([SameProcess("vendor")], contenders, {}, {}, 2, "").set_index("contender")
    assert rows.ms.to_dict() == {"one": 1000, "ten": 100}


def test_the_variable_is_put_back():
    with environment("NGLAB_TEST", "a"):
        with environment("NGLAB_TEST", "b"):
            assert os.environ["NGLAB_TEST"] == "b"
        assert os.environ["NGLAB_TEST"] == "a"
    assert "NGLAB_TEST" not in os.environ
