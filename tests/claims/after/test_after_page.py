"""What `nglab after` checks and writes."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.axes import Axes

from nglab import cli
from nglab.claims import claims_table
from nglab.claims.after.after_page import THEMES
from nglab.claims.claim import Check, Claim, Result
from nglab.claims.claims_table import load


def draw(axes: Axes) -> None:
    axes.plot([0, 1])


def measure() -> Result:
    """What a paper says.

    Why it must be so.
    """
    return Result([Check("a | b", 0.5, most=1)], draw, (draw, draw))


CLAIM = Claim("made-up", "Somebody 2020", "What a paper says.", measure)


def test_a_section_has_the_statement_its_reason_a_picture_and_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_table, "load", lambda *_: {"made-up": CLAIM})
    assert cli.main(["after", f"out={tmp_path}"]) == 0
    text = (tmp_path / "after.md").read_text()
    for part in (
        "## made-up",
        "*Somebody 2020.* What a paper says.",
        "Why it must be so.",
        "](made-up.png)",
        "a \\| b",
    ):
        assert part in text
    assert (tmp_path / "made-up.png").stat().st_size > 0
    assert list(pd.read_csv(tmp_path / "after.csv").verdict) == ["holds"]


def test_every_module_registers_one_claim_that_says_why() -> None:
    claims = load(THEMES)
    assert [
        one.measure.__module__.removeprefix("nglab.claims.") for one in claims.values()
    ] == list(THEMES)
    assert not set(claims) & set(load())
    for one in claims.values():
        assert "\n\n" in str(one.measure.__doc__)
