import sys

import pytest

from nglab.bench.timing import quiet


@pytest.fixture(autouse=True)
def no_noise():
    with quiet():
        yield
    if absl := sys.modules.get("absl.logging"):  # else it would one day close pytest's stderr
        absl.get_absl_handler().python_handler.setStream(sys.__stderr__)
