"""What comes of a job, as Hydra wants to have it."""

import logging
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus

log = logging.getLogger(__name__)


def done() -> JobReturn:
    result = JobReturn(status=JobStatus.COMPLETED)
    result.return_value = None
    return result


def failed(error: Exception, overrides: Sequence[str]) -> JobReturn:
    """`error` is raised by whoever asks for the result's value."""
    result = JobReturn(status=JobStatus.FAILED, overrides=list(overrides))
    result.return_value = error
    return result


def error_of(result: JobReturn) -> Exception | None:
    """What a job raised, which is not raised again here."""
    error = result._return_value if result.status == JobStatus.FAILED else None
    return error if isinstance(error, Exception) else None


def name_failure(number: int, folder: Path, result: JobReturn) -> None:
    """Say on the terminal that a job has failed, and why, when that is known; the sweep goes on."""
    if error := error_of(result):
        log.error("#%d %s: %s", number, folder, error)
