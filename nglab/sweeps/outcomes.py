"""What comes of a job, as Hydra wants to have it."""

import logging
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus

from nglab.sweeps.job import Job

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


def raise_error(result: JobReturn) -> None:
    """What a job raised, without Hydra's line before it."""
    if error := error_of(result):
        raise error


def name_failures(jobs: Sequence[Job], results: Sequence[JobReturn]) -> None:
    """Say on the terminal which jobs have failed, and why, in a line for each reason; the sweep goes on."""
    why: dict[str, list[Job]] = {}
    for job, result in zip(jobs, results, strict=True):
        if error := error_of(result):
            why.setdefault(str(error), []).append(job)
    for reason, (first, *others) in why.items():
        numbers = "".join(f", #{job.number}" for job in others)
        log.error("#%d%s %s: %s", first.number, numbers, first.folder, reason)
