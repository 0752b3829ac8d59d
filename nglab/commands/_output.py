"""What several commands share: Hydra's lists, and what is shown on the terminal."""

import logging
import sys
from collections.abc import Sequence


def as_lists(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    """panels=A,B as panels=[A,B] for these keys; Hydra would take it for a sweep."""
    pairs = [override.partition("=") for override in overrides]
    return [
        f"{key}=[{value}]" if key in keys and not value.startswith("[") else f"{key}={value}"
        for key, _, value in pairs
    ]


def show_log() -> None:
    """What nglab logs, and nothing of what its libraries log, on the terminal."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger("nglab")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
