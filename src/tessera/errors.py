"""Errors that are the user's to mend."""


class UserError(Exception):
    """A mistake in the input: one sentence that says what is wrong, where, and what to do.

    Commands print its message without a traceback and exit with status 1.
    """


class SharedError(UserError):
    """A mistake that all processes of a training find together: the first of them says it."""


class StoppedError(SharedError):
    """A training was asked to stop after at least one update, and its state is saved."""
