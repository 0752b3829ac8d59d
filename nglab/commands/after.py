"""check what later papers say of natural gradient descent: six of them, each by numbers and a picture

Prints what was expected and what was measured, writes after.csv, after.md and pictures; the exit status is 1 where a
measured number leaves its expectation. The papers: docs/after.

examples:
  nglab after
  nglab after claims=one-step,layer-coefficients
  nglab after out=outputs/mine
"""

from nglab.settings.dialect import read

KEYS = {"claims": "some of them, by name", "out": "the folder; default outputs/after"}


def command(arguments: list[str]) -> int:
    given = read("after", __doc__ or "", arguments, KEYS)

    from nglab.claims.after.after_page import THEMES, page
    from nglab.claims.claims_table import run_claims

    names = [name for name in given.settings.get("claims", "").split(",") if name]
    out = given.folder("out", "outputs/after")
    return 0 if run_claims(names, out, THEMES, "after", page) else 1
