"""check every mathematical claim of the two papers

Prints what was expected and what was measured, writes claims.csv, claims.md and pictures; the exit status is 1 where a
measured number leaves its expectation.

examples:
  nglab claims
  nglab claims claims=fisher-rank,exponential
  nglab claims out=outputs/mine
"""

from nglab.settings.dialect import read

KEYS = {"claims": "some of them, by name", "out": "the folder; default outputs/claims"}


def command(arguments: list[str]) -> int:
    given = read("claims", __doc__ or "", arguments, KEYS)

    from nglab.claims.claims_table import run_claims

    names = [name for name in given.settings.get("claims", "").split(",") if name]
    return 0 if run_claims(names, given.folder("out", "outputs/claims")) else 1
