"""All tests; a package so that `python -m tests.parity.run` finds these and no other `tests`."""
