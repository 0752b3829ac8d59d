"""Runs that are on disk, as a picture."""

from collections.abc import Iterable

from matplotlib.figure import Figure

from nglab.api.reading import Folder, as_paths, left_out
from nglab.figures.comparison import compare_runs
from nglab.runs.table import whole_runs


def plot_runs(folders: Folder | Iterable[Folder]) -> Figure:
    """The test loss of the runs at or below one folder or several, against examples seen and against seconds.

    A line for each setting, labelled by what differs between them; runs that differ in nothing but their seed are one
    line, their median, in a band from the least to the greatest. The axis of the loss h = (1/N) Σ −log r(y|z), a mean
    over examples, is logarithmic; dashed: the smallest possible loss, where it is known. The shape is two pictures side
    by side, of a matplotlib `Figure` that notebooks show and `savefig` writes: `nglab plot` draws the same.

    Raises InputError where a folder is none or holds no run, or no run has been evaluated yet. A damaged run
    below a folder is left out with a warning.

    Source: the runs' `metrics.csv`; no formula is applied to them.

    >>> import nglab as ng
    >>> ng.plot_runs("nowhere")
    Traceback (most recent call last):
    nglab.errors.InputError: nowhere is not a folder: give a run's folder, or one that holds runs
    """
    return compare_runs(whole_runs(as_paths(folders), left_out))
