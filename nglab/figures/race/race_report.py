"""What a race leaves to read: four tables as CSV, `race.md`, and the pictures.

`curves`, a row an evaluation: `problem, arch, widths ("20-30-20"), method, tuned_for, setting ("lr=0.01
batch_size=20"), seed, status, minimum_loss, step, examples_seen, passes, train_seconds, test_loss, test_error (%),
times_floor`. A run that serves both clocks stands there for each `tuned_for`.
`times`, a row a problem, target, method, tuned_for and seed: `problem, arch, target ("1.1 × floor"), column (test_loss,
times_floor or test_error), value, method, tuned_for, setting, seed, status, examples, steps, seconds`; the last three
are the first time at or below the target, ∞ where never.
`tuning`, a row a tuning run and target: `problem, method, setting, seed, target, column, value, status, final,
examples, steps, seconds, chosen_for`, then a column a tuned key, NaN where the method does not tune it.
`chosen`, a row a problem, method and tuned_for: `problem, arch, method, tuned_for, setting, unsettled ("lr,
batch_size": the keys whose neighbouring values were not all tried), runs, step_seconds`.
`tuned_for` is "examples", "seconds", or "none" for methods beside the race, which were not tuned here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nglab.figures.race.draw_profiles import draw_profiles
from nglab.figures.race.draw_race import draw_race
from nglab.figures.race.draw_sensitivity import draw_sensitivity
from nglab.figures.race.race_looks import race_looks
from nglab.figures.race.race_statistics import BESIDE, RESAMPLES, TIE_SHARE, WORKLOAD, to_target
from nglab.plotting.markdown import number, pipe_table
from nglab.plotting.style import heading
from nglab.runs.folder import whole

READING = (
    "Medians over seeds of the first time at or below the target; in brackets the 95 % bootstrap interval of the"
    " median; – and ∞: not reached. **Bold**: the least median. Within noise of it: at or below it in at least"
    f" {TIE_SHARE:.0%} of {RESAMPLES} resamples of the seeds, the same for both, or in seconds nearer than the machine"
    " drifted. The setting is that tuned for the clock or, where it does not reach the target and the method's other"
    " setting does, the other. × the best: over the least median, by examples and by seconds. *Italics*: beside the"
    " race."
)


def write_race(
    curves: pd.DataFrame,
    times: pd.DataFrame,
    tuning: pd.DataFrame,
    chosen: pd.DataFrame,
    facts: Mapping[str, Any],
    calibration: pd.DataFrame,
    rules: Mapping[str, Any],
    folder: Path,
) -> list[Path]:
    """Write `curves.csv`, `race.csv`, `tuning.csv`, `settings.csv`, `race.md` and the pictures; returns the files.

    The arguments are those of `race_markdown`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"curves": curves, "race": times, "tuning": tuning, "settings": chosen}
    files = []
    for name, table in tables.items():
        files.append(folder / f"{name}.csv")
        with whole(files[-1]) as partial:
            table.to_csv(partial, index=False)
    files.append(folder / "race.md")
    with whole(files[-1]) as partial:
        partial.write_text(race_markdown(times, chosen, tuning, facts, calibration, rules))
    beside = times.tuned_for == BESIDE
    looks = race_looks(times.method[~beside].unique(), times.method[beside].unique())
    return [
        *draw_race(curves, times, looks, folder / "figure3"),
        *draw_profiles(times, looks, folder / "profiles"),
        *draw_sensitivity(tuning, chosen, looks, folder / "sensitivity"),
        *files,
    ]


def race_markdown(
    times: pd.DataFrame,
    chosen: pd.DataFrame,
    tuning: pd.DataFrame,
    facts: Mapping[str, Any],
    calibration: pd.DataFrame,
    rules: Mapping[str, Any],
) -> str:
    """Who won where, every time to target, what is to be doubted, the machine and the rules.

    `facts` and `rules`: name → value. `calibration`: one computation timed again and again, `when, what, seconds`.
    """
    table = to_target(times, drift(calibration))
    problems = table.groupby("problem", sort=False)
    parts = [
        "# The race",
        f"## Who won\n\n{winners(table)}",
        READING,
        *(
            f"## {name}: {heading(rows.arch.iloc[0])}\n\n{workloads(rows)}\n\n{settings(rows, chosen)}"
            for name, rows in problems
        ),
        f"## Settings whose neighbours were not all tried\n\n{unsettled(chosen)}",
        f"## Runs that diverged\n\n{divergences(times, tuning)}",
        f"## The machine\n\n{bullets(facts)}\n\n{calibrated(calibration)}",
        f"## The rules\n\n{bullets(rules)}",
    ]
    return "\n\n".join(parts) + "\n"


def drift(calibration: pd.DataFrame) -> float:
    """By what share the machine's speed changed: the longest calibration over the shortest, less 1."""
    seconds = calibration.seconds
    return float(seconds.max() / seconds.min() - 1) if len(seconds) else 0.0


def winners(table: pd.DataFrame) -> str:
    """A row a workload: who won it by each clock, and who is within noise of that."""
    rows = [
        {"": rows.problem.iloc[0], "target": rows.target.iloc[0]}
        | {f"by {clock}": winner(rows, clock) for clock in ("examples", "seconds")}
        for _, rows in table.groupby(WORKLOAD, sort=False)
    ]
    return pipe_table(rows)


def winner(rows: pd.DataFrame, clock: str) -> str:
    """ "**kfac**; within noise: layerwise, soap", of one workload."""
    verdict = rows[f"{clock}_verdict"]
    first, ties = rows.method[verdict == "winner"], rows.method[verdict == "tie"]
    if first.empty:
        return "not reached"
    return f"**{first.iloc[0]}**" + (f"; within noise: {', '.join(ties)}" if len(ties) else "")


def workloads(rows: pd.DataFrame) -> str:
    """One problem: a table a target, the fastest by examples first, and who won below."""
    return "\n\n".join(
        f"### {target}\n\n{workload(part)}\n\n"
        f"By examples: {winner(part, 'examples')}. By seconds: {winner(part, 'seconds')}."
        for target, part in rows.groupby("target", sort=False)
    )


def workload(rows: pd.DataFrame) -> str:
    ordered = rows.sort_values(["examples", "seconds", "method"])
    return pipe_table([readable(row) for row in ordered.to_dict("records")])


def readable(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "method": name_of(row),
        "thousand examples": bold(with_interval(row, "examples", 1000), row["examples_verdict"]),
        "steps": number(row["steps"]),
        "seconds": bold(with_interval(row, "seconds", 1), row["seconds_verdict"]),
        "× the best": f"{number(row['examples_ratio'])}, {number(row['seconds_ratio'])}",
        "seeds reached": reached(row),
    }


def name_of(row: Mapping[str, Any]) -> str:
    beside = row["examples_verdict"] == "beside"
    return f"*{row['method']}*, not tuned here" if beside else str(row["method"])


def settings(rows: pd.DataFrame, chosen: pd.DataFrame) -> str:
    """The settings of one problem's methods, by the clock that they were chosen for."""
    own = chosen[chosen.problem == rows.problem.iloc[0]].set_index(["method", "tuned_for"]).setting
    listed = []
    for row in rows.drop_duplicates("method").sort_values("method").to_dict("records"):
        tuned = {
            c: own.get((row["method"], c), row[f"{c}_setting"]) for c in ("examples", "seconds")
        }
        listed.append({"method": name_of(row)} | {f"tuned for {c}": s for c, s in tuned.items()})
    return pipe_table(listed)


def bold(text: str, verdict: str) -> str:
    return f"**{text}**" if verdict == "winner" else text


def with_interval(row: Mapping[str, Any], clock: str, unit: float) -> str:
    """ "52 (48–60)"; the median alone where it is ∞ or its interval has no width."""
    median, low, high = (row[f"{clock}{end}"] / unit for end in ("", "_low", "_high"))
    if low == high or number(median) == "–":
        return number(median)
    return f"{number(median)} ({number(low)}–{number(high).replace('–', '∞')})"


def reached(row: Mapping[str, Any]) -> str:
    """ "5 of 5", or "5 of 5, 3 of 5" where the runs tuned for examples and for seconds differ."""
    counts = [
        f"{row[f'{clock}_reached']} of {row[f'{clock}_seeds']}" for clock in ("examples", "seconds")
    ]
    return ", ".join(dict.fromkeys(counts))


def unsettled(chosen: pd.DataFrame) -> str:
    flagged = chosen[chosen.unsettled.astype(object).fillna("") != ""]
    rows = [
        {"problem": row.problem, "method": row.method, "tuned for": row.tuned_for,
         "setting": row.setting, "keys": row.unsettled}
        for row in flagged.itertuples()
    ]  # fmt: skip
    return pipe_table(rows) if rows else "None."


def divergences(times: pd.DataFrame, tuning: pd.DataFrame) -> str:
    """A row a method, a column a problem: how many runs of how many diverged in tuning; in reporting."""
    in_tuning, in_reporting = diverged(tuning), diverged(times)
    lost = {key for key, (n, _) in [*in_tuning.items(), *in_reporting.items()] if n}
    problems = sorted({problem for problem, _ in lost})
    rows = [
        {"tuning; reporting": method}
        | {
            problem: "; ".join(
                f"{count[problem, method][0]} of {count[problem, method][1]}"
                for count in (in_tuning, in_reporting)
                if (problem, method) in count
            )
            for problem in problems
        }
        for method in sorted({method for _, method in lost})
    ]
    return pipe_table(rows) if rows else "None."


def diverged(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """How many runs diverged, and of how many, by problem and method; a run counts once, whatever its targets."""
    runs = rows.drop_duplicates(["problem", "method", "setting", "seed"])
    return {
        key: (int((part.status == "diverged").sum()), len(part))
        for key, part in runs.groupby(["problem", "method"])
    }


def bullets(items: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in items.items())


def calibrated(calibration: pd.DataFrame) -> str:
    """The same computation timed at start and end, and by how much the machine drifted."""
    if calibration.empty:
        return "Not calibrated."
    rows = [
        {"calibrated": str(row.when), "at": str(row.what), "seconds": number(row.seconds)}
        for row in calibration.itertuples()
    ]
    return f"{pipe_table(rows)}\n\nThe machine drifted by {drift(calibration):.1%} (greatest ÷ least − 1)."
