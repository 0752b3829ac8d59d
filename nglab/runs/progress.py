"""How far a training is: a bar on a terminal, elsewhere a line in the log now and then."""

import logging
import time

from tqdm import tqdm

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 10


class Progress:
    """`show`: whether there is a bar; None: only on a terminal."""

    def __init__(self, steps: int, show: bool | None) -> None:
        self.steps = steps
        self.bar = tqdm(total=steps, unit="step", disable=None if show is None else not show)
        self.next_line = time.monotonic() + LOG_EVERY_SECONDS

    def update(self, step: int, text: str) -> None:
        self.bar.update(step - self.bar.n)
        self.bar.set_postfix_str(text)
        if self.bar.disable and time.monotonic() > self.next_line:
            self.next_line = time.monotonic() + LOG_EVERY_SECONDS
            log.info("step %d of %d: %s", step, self.steps, text)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
