"""time the steps of SGD and NGD, beside what one would write or install instead

Wants a quiet machine. pip install 'nglab[bench]' brings the libraries to compare with.

examples:
  nglab bench
  nglab bench what=sgd,ngd panels=A,B dtype=float32
  nglab bench what=scaling,solvers rounds=5 out=outputs/quick
"""

from nglab.commands._output import as_lists, folder_of, show_log
from nglab.settings.composing import compose
from nglab.settings.dialect import read

KEYS = {
    "what": "some of gemm,sgd,momentum,ngd,kfac,layerwise,stacks,parts,libraries,modules,runs,scaling,solvers",
    "panels": "some of A,B,C,D",
    "rounds": "how often each step is timed",
    "seeds.A": "how many whole runs of each method on A; so of B, C, D",
    "threads": "how many",
    "dtype": "float32, float64, or both",
    "blas": "lifted, vendor, or both: MKL's check of the processor's vendor answered, or as it is",
    "out": "the folder; default outputs/bench",
}


def command(arguments: list[str]) -> None:
    given = read("bench", __doc__ or "", arguments, KEYS, more_keys=True)
    config = compose(as_lists(given.overrides, ["blas", "dtype", "panels", "what"]), "bench", KEYS)

    from nglab.bench.suite import bench  # torch: once this is right

    show_log()
    for file in bench(config, folder_of(config)):
        print(file)
