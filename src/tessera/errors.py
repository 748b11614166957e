"""Errors that are the user's to mend."""


class UserError(Exception):
    """A mistake in the input: one sentence that says what is wrong, where, and what to do.

    Commands print its message without a traceback and exit with status 1.
    """
