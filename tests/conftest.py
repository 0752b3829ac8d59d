"""One thread, set before torch is imported: pytest-xdist runs the small tests side by side."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from run_folders import write_run  # noqa: F401  (a fixture)
