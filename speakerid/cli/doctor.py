"""``speakerid doctor``: whether everything is in order."""

from __future__ import annotations

import click

from speakerid.cli.options import common_options, format_option, read_config
from speakerid.cli.output import print_json, print_table

__all__ = ["doctor"]


@click.command(short_help="Check the installation and the store.", epilog="Example:  speakerid doctor")
@format_option("table", "json")
@common_options
def doctor(layout: str, db: str, config_path: str | None, jobs: int, quiet: bool) -> int:  # noqa: ARG001
    """Check the installation, the codecs, the threads and the store."""
    from speakerid.workflows.doctor import examine

    read_config(config_path)
    findings = examine(db)
    if layout == "json":
        for finding in findings:
            print_json({"check": finding.check, "ok": finding.ok, "found": finding.found})
    else:
        marks = {True: "ok", False: "PROBLEM", None: "absent"}
        rows = [[finding.check, marks[finding.ok], finding.found] for finding in findings]
        print_table([("Check", "left"), ("", "left"), ("Found", "left")], rows)
    return 3 if any(finding.ok is False for finding in findings) else 0
