"""What is told of the machine, and the piece of work that says how fast it is."""

import platform

import pytest
import torch

from nglab.runs import machine as module
from nglab.runs.machine import calibrate, machine, onednn, symmetric

KNOWN = {
    "processor",
    "cores",
    "system",
    "threads",
    "native kernels",
    "Python",
    "torch",
    "numpy",
    "nglab",
}


def test_the_machine_is_told_in_words() -> None:
    facts = machine()
    assert facts.keys() >= KNOWN
    assert all(isinstance(value, str) and value for value in facts.values())
    assert facts["torch"] == torch.__version__
    assert facts["Python"] == platform.python_version()
    assert int(facts["cores"]) >= 1
    assert ("GPU" in facts) == torch.cuda.is_available()


def test_what_cannot_be_found_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(module.os, "sysconf", refuse)
    monkeypatch.setattr(module, "git_commit", lambda: None)
    monkeypatch.setattr(torch.__config__, "show", lambda: "")
    monkeypatch.setattr(module, "arithmetic", lambda: {"blas": "", "native": "none"})
    facts = machine()
    assert facts.keys() >= KNOWN
    assert not {"memory", "BLAS", "oneDNN", "commit"} & facts.keys()


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"GPU {i}")
    assert machine()["GPU"] == "GPU 0, GPU 1"


def test_without_onednn_it_has_no_version() -> None:
    assert onednn("Intel(R) Math Kernel Library Version 2020.0.4 Product Build") == ""


def test_the_calibration_takes_one_thread_and_gives_them_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads, seen = torch.get_num_threads(), []
    state = torch.get_rng_state()
    monkeypatch.setattr(module, "work", lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        calibrate(rounds=3)
        assert seen == [1] * 4  # one of them off the clock
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(state, torch.get_rng_state())


def test_the_calibration_is_the_median_of_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.3, 9.0, 0.1])
    monkeypatch.setattr(module, "work", lambda *_: None)
    monkeypatch.setattr(module, "seconds_of_work", lambda *_: next(seconds))
    assert calibrate(rounds=3) == 0.3


def test_the_work_is_real() -> None:
    assert calibrate(rounds=1) > 0


@pytest.mark.parametrize("n", [1, 20, 400])
def test_the_matrix_of_the_work_is_positive_definite(n: int) -> None:
    a = symmetric(n)
    assert torch.equal(a, a.mT)
    assert torch.linalg.eigvalsh(a.double()).min() > 1
