"""Time to target over seeds: medians, their uncertainty, who won and who ties, performance profiles.

`times`, a row a problem, target, method, `tuned_for` and seed: see race_report.py. A workload is a
problem and a target. Methods beside the race (`tuned_for` "none") are measured as the others are, and win nothing.
"""

from typing import Any

import numpy as np
import pandas as pd

CLOCKS = {"examples": "examples", "steps": "examples", "seconds": "seconds"}
"""Each measure of time, and the `tuned_for` of the runs that it is read from."""

BESIDE = "none"
"""The `tuned_for` of methods that were trained elsewhere, by settings that were not tuned here."""

WORKLOAD = ["problem", "target"]
RESAMPLES, TIE_SHARE, INTERVAL = 2000, 0.05, 0.95


def to_target(times: pd.DataFrame, drift: float = 0.0) -> pd.DataFrame:
    """Time to target, a row a workload and method: easier targets first, methods by name.

    Columns: `problem, arch, target, column, value, method`, and for each clock (`examples`, `steps`, `seconds`): the
    median over seeds under the clock's name; `_low`, `_high`: 95 % percentile bootstrap interval of the median;
    `_ratio`: over the least median of the race (NaN: it is ∞); `_reached` of `_seeds`; `_setting`; `_verdict`
    ("winner", "tie", "", "beside"). A target never reached is ∞, a number greater than all. `drift`: by what share the
    machine's speed changed during the race; seconds that differ by less are a tie.
    """
    times = times.sort_values("seed")
    head = times.groupby([*WORKLOAD, "method"], as_index=False)[["arch", "column", "value"]].first()
    table = head.sort_values(
        ["problem", "column", "value", "method"], ascending=[True, True, False, True]
    ).set_index([*WORKLOAD, "method"])
    for clock in CLOCKS:
        some = drift if clock == "seconds" else 0.0
        parts = [
            clock_columns(rows, clock, some).assign(problem=problem, target=target)
            for (problem, target), rows in timed_by(times, clock).groupby(WORKLOAD)
        ]
        table = table.join(pd.concat(parts).set_index([*WORKLOAD, "method"]).add_prefix(clock))
    first = ["problem", "arch", "target", "column", "value", "method"]
    table = table.reset_index()
    return table[[*first, *(name for name in table.columns if name not in first)]]


def rows_of(times: pd.DataFrame, clock: str) -> pd.DataFrame:
    """The runs tuned for a clock, or for the other where that was the only one, and those beside the race."""
    tuned = set(times.tuned_for) - {BESIDE}
    own = {CLOCKS[clock]} & tuned or tuned
    return times[times.tuned_for.isin([*own, BESIDE])]


def timed_by(times: pd.DataFrame, clock: str) -> pd.DataFrame:
    """The runs that a clock is read from, a setting a workload and method: that which was tuned for the clock.

    Where it did not reach the target (its median is ∞) and the method's other setting did, the other.
    """
    methods = times.groupby([*WORKLOAD, "method"], sort=False)
    return pd.concat([one_setting(rows, clock) for _, rows in methods])


def one_setting(rows: pd.DataFrame, clock: str) -> pd.DataFrame:
    own = rows_of(rows, clock)
    medians = rows.groupby("tuned_for")[clock].median()
    if np.isfinite(own[clock].median()) or not np.isfinite(medians.min()):
        return own
    return rows[rows.tuned_for == medians.idxmin()]


def clock_columns(rows: pd.DataFrame, clock: str, drift: float) -> pd.DataFrame:
    """One workload by one clock, a row a method: the columns of `to_target` without the clock's name."""
    by_method = {str(name): part.set_index("seed") for name, part in rows.groupby("method")}
    seeds = {name: part[clock].astype(float) for name, part in by_method.items()}
    racing = {
        name: values
        for name, values in seeds.items()
        if not (by_method[name].tuned_for == BESIDE).any()
    }
    least = min((values.median() for values in racing.values()), default=np.inf)
    judged = verdicts(racing, drift)
    return pd.DataFrame(
        {"method": name}
        | summary(values, least)
        | {"_setting": by_method[name].setting.iloc[0], "_verdict": judged.get(name, "beside")}
        for name, values in seeds.items()
    )


def summary(values: pd.Series, least: float) -> dict[str, Any]:
    low, high = interval(values.to_numpy())
    median = values.median()
    return {
        "": median,
        "_low": low,
        "_high": high,
        "_ratio": median / least if np.isfinite(least) else np.nan,
        "_reached": int(np.isfinite(values).sum()),
        "_seeds": len(values),
    }


def verdicts(seeds: dict[str, pd.Series], drift: float) -> dict[str, str]:
    """ "winner", "tie" or "" for each method, from its times indexed by seed.

    The winner has the least median, the first by name of several. Another ties with it where its median is within
    `drift` of the winner's, or at or below it in at least 5 % of the resamples of a paired bootstrap over seeds. No
    method wins where every median is ∞.
    """
    medians = {name: values.median() for name, values in sorted(seeds.items())}
    winner = min(medians, key=lambda name: medians[name], default="")
    if not np.isfinite(medians.get(winner, np.inf)):
        return dict.fromkeys(medians, "")
    within = {
        name: medians[name] <= medians[winner] * (1 + drift)
        or share_not_slower(seeds[name], seeds[winner]) >= TIE_SHARE
        for name in medians
    }
    return {name: "tie" if within[name] else "" for name in medians} | {winner: "winner"}


def share_not_slower(other: pd.Series, winner: pd.Series) -> float:
    """The share of resamples in which the other reached the target, and its median is at most the winner's."""
    both = pd.concat([other, winner], axis=1, join="inner").to_numpy()
    medians = resampled_medians(both)
    return float(np.mean((medians[:, 0] <= medians[:, 1]) & np.isfinite(medians[:, 0])))


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the median; its ends are medians of resamples, and may be ∞."""
    medians = np.sort(resampled_medians(values))
    outside = int(RESAMPLES * (1 - INTERVAL) / 2)
    return float(medians[outside]), float(medians[-1 - outside])


def resampled_medians(values: np.ndarray) -> np.ndarray:
    """[seeds, …] → [resamples, …]: medians over seeds drawn with replacement, the same draws at every call."""
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return np.median(values[draws], axis=1)


def profile(times: pd.DataFrame, clock: str) -> pd.DataFrame:
    """Performance profile (Dolan & Moré 2002) of the methods of the race by one clock: `method, tau, share`.

    `share`: of the workloads, those on which the method's median time is at most `tau` × the least. A row for each
    method at 1 and at every τ where some method's share changes. Workloads whose every median is ∞ are left out.
    """
    racing = timed_by(times, clock).query("tuned_for != @BESIDE")
    medians = racing.groupby([*WORKLOAD, "method"])[clock].median().unstack("method")
    best = medians.min(axis=1)
    reached = np.isfinite(best)
    ratios = medians[reached].div(best[reached], axis=0).fillna(np.inf)
    values = ratios.to_numpy(dtype=float)
    taus = np.union1d(values[np.isfinite(values)], [1.0]) if reached.any() else np.empty(0)
    return pd.DataFrame(
        [
            {"method": name, "tau": tau, "share": float((ratios[name] <= tau).mean())}
            for name in ratios.columns
            for tau in taus
        ],
        columns=["method", "tau", "share"],
    )
