"""MKL's vendor check: its fast kernels are for Intel's processors alone unless it is answered."""


def lifted() -> bool:
    """Whether this process's MKL takes the kernels of the processor's own instruction set though it is not Intel's."""
    return False
