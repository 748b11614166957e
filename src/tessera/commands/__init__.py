"""The subcommands of `tessera`, one module each.

Each has `add`, which adds its parser, and `run`, which returns the exit status. Nothing heavy is
imported before `run`: `tessera --help` answers at once.
"""
