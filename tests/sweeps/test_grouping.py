import pytest

from nglab.native.library import library
from nglab.optimizers.first_order.compiled import CompiledDescent
from nglab.runs.build import build_each
from nglab.runs.config import check
from nglab.settings.composing import compose
from nglab.sweeps.grouping import begin, group, stack_bytes, step_bytes
from nglab.training.replicas import stack

SMALL = ["arch=mlp", "arch.widths=[5,4,3]", "data.train_examples=90", "data.test_examples=20",
         "optimizer.batch_size=20"]  # fmt: skip
INF = float("inf")


def configs(*jobs):
    return [check(compose([*SMALL, *job.split()])) for job in jobs]


def test_what_differs_in_real_numbers_and_seeds_is_one_group():
    jobs = ["", "seed=3", "optimizer.lr=0.5", "init.gain=2", "data.noise_variance=0.1",
            "data.spectrum_decay=1", "optimizer.damping.initial=1 optimizer.damping.min=0.1"]  # fmt: skip
    runs = configs(*jobs)
    assert group(runs, INF, INF) == [[0, 2, 6, 1, 3, 4, 5]]  # 0, 2 and 6: one data set
    assert stack(build_each(runs)).optimizer.lr.tolist() == [1, 1, 0.5, 1, 1, 1, 1]


def test_what_differs_in_more_is_not():
    jobs = ["", "optimizer.batch_size=10", "optimizer.samples=2", "optimizer.metric.split=pi",
            "arch.widths=[5,3]", "train.passes=3", "optimizer=sgd", "dtype=float32", "seed=1",
            "train.eval_every_examples=7", "data.test_examples=10",
            "likelihood=student_t", "likelihood=student_t likelihood.degrees=3"]  # fmt: skip
    assert group(configs(*jobs), INF, INF) == [
        [0, 8], *([i] for i in range(1, 8)), *([i] for i in range(9, 13)),
    ]  # fmt: skip


def test_what_trains_one_at_a_time_is_not():
    exact = "arch.activation=identity arch.bias=false optimizer=ngd_exact"
    assert group(configs(exact, f"{exact} seed=1"), INF, INF) == [
        [0],
        [1],
    ]


def bytes_of(runs):
    return stack_bytes(runs, step_bytes(begin(runs[0])))


def test_large_groups_are_split():
    runs = configs(*(f"seed={s}" for s in range(7)))
    assert group(runs, bytes_of(runs[:3]), INF) == [[0, 1], [2, 3], [4, 5, 6]]
    assert group(runs, INF, 0) == group(runs, 0, INF) == [[i] for i in range(7)]
    assert group(runs, bytes_of(runs), INF) == [list(range(7))]


@pytest.mark.skipif(library() is None, reason="no compiled code here")
@pytest.mark.parametrize("method", ["sgd", "momentum", "nesterov"])
def test_compiled_code_takes_a_stack_of_any_size(method, monkeypatch):
    runs = configs(*(f"optimizer={method} seed={s}" for s in range(7)))
    assert group(runs, INF, 0) == [list(range(7))]
    monkeypatch.setattr(CompiledDescent, "of", lambda *_, **__: None)
    assert group(runs, INF, 0) == [[i] for i in range(7)]


def test_every_process_gets_its_share():
    runs = configs(*(f"seed={s}" for s in range(7)))
    assert group(runs, INF, INF, processes=2) == [[0, 1, 2], [3, 4, 5, 6]]
    assert group(runs, bytes_of(runs[:3]), INF, processes=2) == [[0], [1, 2], [3, 4], [5, 6]]
    assert group(runs[:3], INF, INF, processes=2) == [[0, 1, 2]]


def test_a_data_set_is_counted_once():
    same = bytes_of(configs("optimizer.lr=0.1", "optimizer.lr=0.2"))
    assert same < bytes_of(configs("seed=0", "seed=1"))


def test_a_step_is_counted_by_what_its_method_keeps(monkeypatch):
    """SGD: weights, two passes over the batch. NGD, beside: a pass more, G, D and W + ΔW, Λ and Λ̃."""
    monkeypatch.setattr(CompiledDescent, "of", lambda *_, **__: None)
    sgd, ngd = map(begin, configs("optimizer=sgd", "optimizer=ngd"))
    weights = 5 * 4 + 4 + 4 * 3 + 3  # with biases
    factors = 6**2 + 4**2 + 5**2 + 3**2
    once = 20 * (6 + 5 + 3) + 20 * (4 + 3)  # x_0, x_1 with their 1, x_2; e_1, e_2
    assert 8 * (weights + once) <= step_bytes(sgd) <= 8.5 * (weights + once)
    least = 8 * (4 * weights + factors + once + 20 * (4 + 3))
    assert least <= step_bytes(ngd) <= 1.2 * least
