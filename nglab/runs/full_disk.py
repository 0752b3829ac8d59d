"""Whether a full disk is behind an error, which whoever raises it next may have hidden."""

import errno

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room on the disk, of the user's share of it, or below the largest size that the shell lets a file have."""


def full_disk(error: BaseException | None) -> str | None:
    """What could not be written for want of room, "No space left on device: a/file"; None where that is not why."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        error = error.__cause__ or error.__context__
    return None
