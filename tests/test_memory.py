import platform
import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource
from nglab.memory import keep_freed_memory
{call}
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes, c.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def step():
    held = [c.malloc(2**20) for _ in range(8)]
    for block in held:
        c.memset(block, 1, 2**20)
    for block in held:
        c.free(block)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step(), step()
before = faults()
step()
print(faults() - before)
"""


def page_faults(call: str) -> int:
    command = [sys.executable, "-c", FAULTS.format(call=call)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_memory_that_is_freed_is_not_fetched_anew() -> None:
    assert page_faults("keep_freed_memory()") < page_faults("") / 10


COLLECTIONS = """
import gc
from nglab.memory import collect_rarely
{call}
before = gc.get_stats()[0]["collections"]
kept = [[] for _ in range(200_000)]
print(gc.get_stats()[0]["collections"] - before)
"""


def collections(call: str) -> int:
    command = [sys.executable, "-c", COLLECTIONS.format(call=call)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_what_stays_is_seldom_looked_at() -> None:
    assert collections("collect_rarely()") < collections("") / 10
