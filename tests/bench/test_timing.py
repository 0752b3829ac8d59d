import logging
import os
import warnings

import pandas as pd
import pytest
import torch

from nglab.bench.timing import (
    LONG_SECONDS,
    ROUND_SECONDS,
    VENDOR,
    CouldNotRun,
    Times,
    here,
    measure,
    on_cores,
    table,
)


class Clock:
    """Time passes only where a contender says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def contender(self, name, *seconds):
        """Takes `seconds` in turn, the last one ever after."""
        left = list(seconds)

        def step():
            self.log.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return here(lambda: step, self)


def test_every_round_times_everyone_once_and_every_other_round_backwards():
    clock = Clock()
    slow = 2 * ROUND_SECONDS
    times = measure({n: clock.contender(n, slow) for n in "abc"}, 3, "")
    # to warm up, one call and one to count calls by; in each round one off the clock and one on it
    assert "".join(clock.log) == "aabbcc" + "aabbcc" + "ccbbaa" + "aabbcc"
    assert times.seconds.shape == (3, 3)
    assert times.seconds.to_numpy() == pytest.approx(slow)


def test_fast_contenders_are_called_until_the_clock_can_tell():
    clock = Clock()
    times = measure({"fast": clock.contender("f", ROUND_SECONDS / 8)}, 2, "")
    assert len(clock.log) == 2 + 2 * (1 + 8)
    assert times.seconds.fast.to_numpy() == pytest.approx(ROUND_SECONDS / 8)


def test_the_first_call_is_a_warm_up():
    clock = Clock()
    times = measure({"jit": clock.contender("j", 100.0, 1.0)}, 2, "")
    assert list(times.seconds.jit) == [1.0, 1.0]


def test_a_long_call_is_not_made_twice_a_round():
    clock = Clock()
    times = measure({"long": clock.contender("l", 2 * LONG_SECONDS)}, 3, "")
    assert len(clock.log) == 2 + 3
    assert times.seconds.long.to_numpy() == pytest.approx(2 * LONG_SECONDS)


def test_who_raises_is_reported_and_the_others_are_timed():
    clock = Clock()

    def missing():
        import no_such_library  # noqa: F401

    def broken():
        def step():
            raise ValueError("too many values\nto unpack")

        return step

    def elsewhere():
        raise CouldNotRun("KeyError: 'told there'")

    makers = {"missing": here(missing), "good": clock.contender("g", 1.0),
              "broken": here(broken), "elsewhere": elsewhere}  # fmt: skip
    times = measure(makers, 2, "")
    assert list(times.seconds) == ["good"]
    assert times.errors == {
        "missing": "not installed (no_such_library)",
        "broken": "ValueError: too many values",
        "elsewhere": "KeyError: 'told there'",
    }
    rows = table(times, {"over_good": "good"}).set_index("contender")
    assert rows.error["missing"] and pd.isna(rows.ms["broken"]) and rows.over_good["good"] == 1


def test_ratios_are_taken_within_rounds():
    """The machine slows down tenfold in the second of three rounds: the ratio does not see it."""
    seconds = pd.DataFrame({"ours": [1.0, 10.0, 1.2], "theirs": [2.0, 20.0, 2.4]})
    times = Times(seconds).each({"ours": 4, "theirs": 4, "who could not run": 1})
    rows = table(times, {"over_ours": "ours", "over_none": "none"}).set_index("contender")
    assert rows.over_ours["theirs"] == 2
    assert rows.ms["theirs"] == 600 and rows.ms_least["theirs"] == 500
    assert rows.ms_low["theirs"] <= rows.ms["theirs"] <= rows.ms_high["theirs"]
    assert "over_none" not in rows


def test_a_reference_is_of_the_same_blas_where_there_is_one():
    seconds = {
        "ours": 1.0,
        "jax": 2.0,
        "gradient": 0.5,
        f"ours{VENDOR}": 4.0,
        f"gradient{VENDOR}": 1.0,
    }
    rows = table(Times(pd.DataFrame([seconds])), {"over_jax": "jax", "over_gradient": "gradient"})
    rows = rows.set_index("contender")
    assert rows.over_gradient["ours"] == 2 and rows.over_gradient[f"ours{VENDOR}"] == 4
    assert rows.over_jax["ours"] == 0.5 and rows.over_jax[f"ours{VENDOR}"] == 2


def test_what_a_library_says_is_not_heard():
    def noisy():
        logging.root.addHandler(logging.NullHandler())
        return lambda: warnings.warn("old", stacklevel=1)

    handlers = logging.root.handlers[:]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        measure({"noisy": here(noisy)}, 1, "")
    assert not heard and logging.root.handlers == handlers


def test_threads_and_cores_are_put_back():
    def state():
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        return torch.get_num_threads(), cores

    before = state()
    with on_cores(1):
        threads, cores = state()
        assert threads == 1 and len(cores) <= 1
    assert state() == before
