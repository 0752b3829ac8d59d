"""A damping that cools: a damping rule is one class."""

from dataclasses import dataclass

from nglab.curvature.damping.damping_rule import DampingRule
from nglab.settings.fields import Share, setting


@dataclass(frozen=True)
class Cooling(DampingRule):
    """λ ← keep · λ after every step that was taken."""

    keep: Share = setting("what of λ a step keeps")

    def update_(self, state, ratio, failed, informative):
        state.value.mul_(failed + ~failed * self.keep)
