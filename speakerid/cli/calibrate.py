"""``speakerid calibrate``."""

from __future__ import annotations

import click

from speakerid.cli.options import common_options, read_config
from speakerid.cli.output import Progress, note

__all__ = ["calibrate"]


@click.command(
    short_help="Fit scores and the operating point to your own recordings.",
    epilog="Example:  speakerid calibrate",
)
@click.option("--forget", is_flag=True, help="Go back to the calibration that comes with the program.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Of how questions are put together from the recordings.")  # fmt: skip
@common_options
def calibrate(forget: bool, seed: int, db: str, config_path: str | None, jobs: int, quiet: bool) -> int:
    """Learn from the enrolled speakers' own recordings what scores mean.

    Every recording is held out of its speaker's model in turn and asked of the others, who are strangers to it. The store
    keeps what comes out, and identify and verify use it. It takes three speakers with 24 recordings together, where a single
    recording counts as four; more are better, and recordings of several days best. Calibrate again when many speakers have
    been added.
    """
    from speakerid.workflows.calibrate import FOLDS, forget_calibration
    from speakerid.workflows.calibrate import calibrate as fit

    config = read_config(config_path)
    if forget:
        forget_calibration(db, config=config)
        click.echo(f"{db}: the calibration that comes with the program is in use")
        return 0
    with Progress(FOLDS, "calibrating", quiet=quiet) as progress:
        report = fit(db, config=config, seed=seed, jobs=jobs, progress=progress)
    about = report.calibration.about
    click.echo(f"{db}: calibrated with {about['recordings']} recordings of {about['speakers']} speakers")
    if report.left_out:
        left_out = "1 speaker has" if len(report.left_out) == 1 else f"{len(report.left_out)} speakers have"
        note(f"{left_out} too little speech to take part: {', '.join(report.left_out)}", quiet=quiet)
    before, after = report.cost_before, report.cost_after
    note(f"Cost of a held-out answer (Cllr, bits; 1 is no better than not listening): {after:.2f}, before {before:.2f}.",
         quiet=quiet)  # fmt: skip
    return 0
