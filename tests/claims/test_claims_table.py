"""What `nglab claims` says and writes, and its exit status, on claims made up here."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from nglab import cli
from nglab.claims import claims_table
from nglab.claims.after import after_page
from nglab.claims.claim import CLAIMS, Check, Claim, Result
from nglab.claims.claims_table import load, run_claims
from nglab.errors import InputError


@pytest.mark.parametrize(
    ("measured", "holds"),
    [
        (1.0, True),
        (2.0, True),
        (0.999, False),
        (2.001, False),
        (math.inf, False),
        (math.nan, False),
    ],
)
def test_a_check_holds_within_its_interval_alone(measured: float, holds: bool) -> None:
    assert Check("a number", measured, least=1, most=2).holds is holds


@pytest.mark.parametrize("limits", [{"least": 0.0}, {"most": 0.0}, {}])
def test_what_is_not_a_number_never_holds(limits: dict[str, float]) -> None:
    assert not Check("a number", math.nan, **limits).holds


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts claims that measure the given numbers, each to be 1 at most, in place of the real ones."""

    def put(**measured: float) -> None:
        claims = {
            name: Claim(
                name, "B", "a statement", lambda m=m: Result([Check("a number", m, most=1)])
            )
            for name, m in measured.items()
        }
        monkeypatch.setattr(claims_table, "load", lambda *_: claims)

    return put


@pytest.mark.parametrize(
    ("measured", "all_hold"),
    [({"a": 0.5, "b": 1.0}, True), ({"a": 0.5, "b": 1.5}, False), ({"a": math.nan}, False)],
)
def test_the_exit_status_says_whether_all_hold(
    measured: dict[str, float], all_hold: bool, made_up: Callable[..., None], tmp_path: Path
) -> None:
    made_up(**measured)
    assert run_claims([], tmp_path) is all_hold
    assert cli.main(["claims", f"out={tmp_path}"]) == (0 if all_hold else 1)
    verdicts = pd.read_csv(tmp_path / "claims.csv").verdict
    assert list(verdicts) == ["holds" if m <= 1 else "FAILS" for m in measured.values()]
    assert (tmp_path / "claims.md").read_text().count("FAILS") == (verdicts == "FAILS").sum()


def test_claims_are_chosen_by_name(made_up: Callable[..., None], tmp_path: Path) -> None:
    made_up(a=0.5, b=1.5)
    assert run_claims(["a"], tmp_path)
    with pytest.raises(InputError, match="claims=c: no such claim; there are a, b"):
        run_claims(["a", "c"], tmp_path)


def test_every_module_of_claims_is_loaded() -> None:
    registered = {claim.measure.__module__.rpartition(".")[2] for claim in load().values()}
    assert registered == set(claims_table.THEMES)
    loaded = {*load(), *load(after_page.THEMES)}
    assert set(CLAIMS) == loaded
