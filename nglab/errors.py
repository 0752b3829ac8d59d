"""The one error that means: the input is wrong, and this is what would be right."""


class InputError(ValueError):
    """Bad input: names the key or the file, what is wrong, and what would be right.

    The command line prints the message and exits with code 2, before any work starts. A `ValueError`, so that programs
    may catch it as one.

    >>> import nglab as ng
    >>> ng.Network([20, 20], "tnah")
    Traceback (most recent call last):
    nglab.errors.InputError: Network.activation=tnah: must be one of identity, tanh, sigmoid, relu, softplus; \
did you mean tanh?
    """
