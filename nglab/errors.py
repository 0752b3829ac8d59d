"""The one error that means: the input is wrong, and this is what would be right."""


class InputError(ValueError):
    """Bad input: names the key or the file, what is wrong, and what would be right.

    The command line prints the message and exits with code 2, before any work starts.
    """
