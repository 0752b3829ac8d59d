"""Where Hydra looks for sweepers: a namespace package, without __init__.py. nglab/sweeps/tuner.py has it."""

from nglab.sweeps import tuner


class Optuna(tuner.Optuna):
    """hydra/sweeper=optuna"""
