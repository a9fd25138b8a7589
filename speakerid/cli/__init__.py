"""The command line: options, tables, progress, exit status. Heavy imports wait until a command runs."""

from speakerid.cli.main import cli, main

__all__ = ["cli", "main"]
