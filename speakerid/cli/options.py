"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from speakerid.audio import RawFormat
    from speakerid.config import Config

__all__ = [
    "channel_option",
    "check_rule",
    "common_options",
    "common_options_with_configs",
    "false_accept_option",
    "format_option",
    "parse_components",
    "raw_format",
    "raw_options",
    "read_config",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def _default_jobs() -> int:
    from speakerid.parallel import effective_jobs

    return effective_jobs(None)


def common_options(command: Command) -> Command:
    """--db, --config, --jobs and --quiet."""
    return _common_options(command)


def common_options_with_configs(command: Command) -> Command:
    """The same, with --config any number of times."""
    return _common_options(
        command,
        click.option(
            "--config", "config_paths", type=click.Path(), multiple=True, metavar="FILE.toml",
            help="Settings of a system; given again, of another one to compare with the first.",
        ),
    )  # fmt: skip


def _common_options(command: Command, config: Callable[[Any], Any] | None = None) -> Command:
    for option in reversed(
        [
            click.option(
                "--db", type=click.Path(), envvar="SPEAKERID_DB", default="speakers.db", show_default=True, metavar="PATH",
                help="The store, one file; environment variable SPEAKERID_DB.",
            ),
            config
            or click.option(
                "--config", "config_path", type=click.Path(), metavar="FILE.toml",
                help="Settings; left out, the store's own.",
            ),
            click.option(
                "--jobs", type=click.IntRange(1, 1000), default=_default_jobs, show_default="all processor cores",
                metavar="N", help="How many recordings to work on at once; the answers do not depend on it.",
            ),
            click.option("--quiet", "-q", is_flag=True, help="No progress and no notes; errors are still shown."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def format_option(*choices: str) -> Callable[[Command], Command]:
    """--format with the choices; the first one is the default."""
    return click.option(
        "--format", "layout", type=click.Choice(choices), default=choices[0], show_default=True,
        help="Layout of the answers on standard output.",
    )  # fmt: skip


def channel_option(command: Command) -> Command:
    """--channel."""
    return click.option(
        "--channel", type=click.IntRange(min=1), metavar="N",
        help="Use this channel, counted from 1; left out, the mean of all channels.",
    )(command)  # fmt: skip


def false_accept_option(command: Command) -> Command:
    """--false-accept-rate."""
    return click.option(
        "--false-accept-rate", type=float, metavar="SHARE", callback=_share,
        help="Share of those who are somebody else that may be taken for an enrolled speaker; 0.02 if left out.",
    )(command)  # fmt: skip


def _share(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value < 1:
        raise click.BadParameter(f"{value:g}: expected a share between 0 and 1, such as 0.01")
    return value


def check_rule(*, closed_set: bool, threshold: float | None, false_accept_rate: float | None) -> None:
    """Refuse two rules for a name at once, and a threshold that is none.

    Raises
    ------
    click.UsageError
    """
    if closed_set + (threshold is not None) + (false_accept_rate is not None) > 1:
        raise click.UsageError(
            "--closed-set names somebody always, --threshold and --false-accept-rate do not: give one of the three"
        )
    if threshold is not None and not abs(threshold) < float("inf"):
        raise click.UsageError("--threshold needs a number of nats a frame, such as 2.5")


def raw_options(command: Command) -> Command:
    """--raw, --raw-encoding and --raw-channels."""
    options = [
        click.option("--raw", "raw_rate", type=click.IntRange(4000, 384000), metavar="RATE",
                     help="Standard input is headerless PCM at this rate."),
        click.option("--raw-encoding", metavar="NAME",
                     help="Its samples: u8, s8, s16le (the default), s16be, s24le, s32le, f32le, f64le, mulaw, alaw."),
        click.option("--raw-channels", type=click.IntRange(1, 64), metavar="N", help="Its channels; 1 if left out."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def raw_format(
    audio: tuple[str, ...], rate: int | None, encoding: str | None, channels: int | None
) -> RawFormat | None:
    """Return what standard input is, if it is headerless PCM.

    Raises
    ------
    click.UsageError
        It is described without being asked for, or asked for more than once.
    """
    if rate is not None and "-" not in audio:
        raise click.UsageError("--raw describes standard input: name it as -")
    if rate is None and (encoding is not None or channels is not None):
        raise click.UsageError("--raw-encoding and --raw-channels describe headerless PCM: give --raw RATE too")
    if audio.count("-") > 1:
        raise click.UsageError("standard input can be read once: name - once")
    if rate is None:
        return None
    from speakerid.audio import RawFormat

    return RawFormat(rate, encoding or "s16le", channels or 1)


def parse_components(text: str) -> int | Literal["auto"]:
    """Read a number of components, or "auto".

    Raises
    ------
    click.BadParameter
        It is neither.
    """
    text = text.strip()
    if text == "auto":
        return "auto"
    digits = text.lstrip("0")
    if text.isascii() and text.isdigit() and 0 < len(digits) <= 5 and int(digits) <= 65536:
        return int(digits)
    raise click.BadParameter(f"{text!r}: expected a whole number from 1 to 65536, or auto")


def read_config(path: str | None) -> Config | None:
    """Read the settings of --config, if it was given."""
    if path is None:
        return None
    from speakerid.config import load_config

    return load_config(path)
