"""The tables of a made-up race: every method's loss falls as a power of the examples, at a speed of its own."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

INF, NAN = float("inf"), float("nan")
METHODS = ["sgd", "momentum", "adam", "ngd", "kfac", "layerwise", "shampoo", "soap", "muon", "two_level",
           "hessian_free", "diagonal_fisher"]  # fmt: skip
ARCH = {
    "A": ("square", "20-20-20", 1e-5), "B": ("expanding", "20-100-20", 1e-5), "C": ("bottleneck", "200-2-200", 1e-4),
    "D": ("mnist_autoencoder", "784-50-784", NAN), "K": ("mnist_classifier", "784-500-10", NAN),
}  # fmt: skip
TARGETS = {
    "times_floor": {"10 × floor": 10.0, "1.1 × floor": 1.1},
    "test_loss": {"test loss 4.5": 4.5, "test loss 3.5": 3.5},
    "test_error": {"test error 3 %": 3.0, "test error 2 %": 2.0},
}
COLUMN = dict.fromkeys("ABC", "times_floor") | {"D": "test_loss", "K": "test_error"}


@dataclass(frozen=True)
class Tables:
    curves: pd.DataFrame
    times: pd.DataFrame
    tuning: pd.DataFrame
    chosen: pd.DataFrame


def race_tables(methods: list[str], problems: str, seeds: int, beside: list[str] = []) -> Tables:  # noqa: B006
    """A race of `methods` on the problems of these letters; the last method diverges on its first seed."""
    rng = np.random.default_rng(0)
    curves, tuning, chosen = [], [], []
    for problem in problems:
        for i, method in enumerate([*methods, *beside]):
            speed = 1 + 0.25 * ((7 * i + ord(problem)) % 12) + 0.02 * i
            clocks = ["none"] if method in beside else ["examples", "seconds"]
            for tuned_for in clocks:
                for seed in range(100, 100 + seeds):
                    run = curve(problem, speed * rng.uniform(0.9, 1.1), 1 + i % 5, rng)
                    if method == methods[-1] and seed == 100:
                        run = blown_up(run)
                    setting = f"lr={0.01 * (i + 1):g} batch_size={20 * (i + 1)}"
                    own = {
                        "method": method,
                        "tuned_for": tuned_for,
                        "setting": setting,
                        "seed": seed,
                    }
                    curves.append(run.assign(**own))
            if method in methods:
                tuning.append(tuning_of(problem, method, i, speed))
                chosen += [chosen_row(problem, method, clock, i) for clock in clocks]
    whole = pd.concat(curves, ignore_index=True)
    return Tables(
        whole, times_of(whole), pd.concat(tuning, ignore_index=True), pd.DataFrame(chosen)
    )


def curve(problem: str, speed: float, slow: float, rng: np.random.Generator) -> pd.DataFrame:
    arch, widths, floor = ARCH[problem]
    n = np.concatenate([[0], np.geomspace(500, 200_000, 40).round(-1)])
    start, least = (5.0, floor * rng.uniform(1, 1.05)) if problem in "ABC" else (50.0, 2.0)
    loss = least + (start - least) * (1 + n / 500) ** -speed * rng.uniform(0.95, 1.05, len(n))
    return pd.DataFrame({
        "problem": problem, "arch": arch, "widths": widths, "status": "finished", "minimum_loss": floor,
        "step": (n / 20).astype(int), "examples_seen": n, "passes": n / 10_000, "train_seconds": n * slow * 2e-5,
        "test_loss": loss, "test_error": 0.2 + 0.8 * loss if problem == "K" else NAN, "times_floor": loss / floor,
    })  # fmt: skip


def blown_up(run: pd.DataFrame) -> pd.DataFrame:
    run = run.iloc[:6].assign(status="diverged")
    run.loc[run.index[-1], ["test_loss", "test_error", "times_floor"]] = INF
    return run


def times_of(curves: pd.DataFrame) -> pd.DataFrame:
    """First times at or below the targets, without interpolation."""
    rows = []
    keys = ["problem", "arch", "method", "tuned_for", "setting", "seed", "status"]
    for values, run in curves.groupby(keys, sort=False):
        column = COLUMN[values[0]]
        for target, value in TARGETS[column].items():
            there = run[run[column] <= value][["examples_seen", "step", "train_seconds"]]
            first = there.iloc[0] if len(there) else [INF, INF, INF]
            own = dict(zip(keys, values, strict=True)) | {
                "target": target,
                "column": column,
                "value": value,
            }
            rows.append(own | dict(zip(["examples", "steps", "seconds"], first, strict=True)))
    return pd.DataFrame(rows)


def tuning_of(problem: str, method: str, i: int, speed: float) -> pd.DataFrame:
    """Rates and batches around the chosen ones; the highest rate diverges."""
    rows = []
    for lr in np.array([0.25, 0.5, 1, 2, 4]) * 0.01 * (i + 1):
        for batch in np.array([0.5, 1, 2]) * 20 * (i + 1):
            off = 1 + (
                np.log2(lr / (0.01 * (i + 1))) ** 2 + np.log2(batch / (20 * (i + 1))) ** 2
            ) * (0.3 + 0.1 * i)
            for seed in (1, 2):
                for target, value in TARGETS[COLUMN[problem]].items():
                    diverged = lr > 0.03 * (i + 1)
                    examples = (
                        INF
                        if diverged or (value < 1.2 and speed < 2)
                        else 5000 * off * seed / value
                    )
                    rows.append({
                        "problem": problem, "method": method, "setting": f"lr={lr:g} batch_size={batch:g}",
                        "seed": seed, "target": target, "column": COLUMN[problem], "value": value,
                        "status": "diverged" if diverged else "finished", "final": INF if diverged else value * off / 2,
                        "examples": examples, "steps": examples / batch, "seconds": examples / 1e4,
                        "chosen_for": "examples seconds" if off == 1 else "", "schedule": "constant", "lr": lr,
                        "batch_size": batch,
                    })  # fmt: skip
    return pd.DataFrame(rows)


def chosen_row(problem: str, method: str, clock: str, i: int) -> dict[str, object]:
    return {
        "problem": problem, "arch": ARCH[problem][0], "method": method, "tuned_for": clock,
        "setting": f"lr={0.01 * (i + 1):g} batch_size={20 * (i + 1)}", "unsettled": "lr" if i % 4 == 3 else "",
        "runs": 15, "step_seconds": 1e-4 * (i + 1),
    }  # fmt: skip
