"""``speakerid listen``."""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from speakerid.audio.paths import shown
from speakerid.cli.follow import Listening, follow, summary
from speakerid.cli.options import common_options, format_option, read_config
from speakerid.cli.output import complain, note, print_json, print_table

if TYPE_CHECKING:
    from speakerid.audio.microphone import Microphone

__all__ = ["LevelMeter", "listen"]

_PATH = "microphone"
_ENROLL_SECONDS, _MOST_ENROLL_SECONDS = 30.0, 600.0
# peaks, full scale is 1: below the first a voice drowns in the converter's noise
_QUIET, _FULL = 0.03, 0.999
# share of the samples
_CLIPPED = 0.001


def _device(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | str | None:
    """A number is a number, anything else part of a name."""
    if text is not None and text.isascii() and text.isdigit() and len(text) <= 6:
        return int(text)
    return text


def _seconds(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0.1 <= value < math.inf:
        raise click.BadParameter(f"{value:g}: expected a number of seconds, 0.1 at least")
    return value


@click.command(
    short_help="Say who is speaking into the microphone, or enrol them.",
    epilog="\b\nExample:  speakerid listen\n          speakerid listen --enroll alice --seconds 30",
)
@click.option("--device", callback=_device, metavar="NAME|NUMBER",
              help="Listen to this one: its number, or part of its name; left out, the system's default.")  # fmt: skip
@click.option("--list-devices", is_flag=True, help="Show what can be listened to, and end.")
@click.option("--channel", type=click.IntRange(min=1), metavar="N",
              help="Use this channel of the device, counted from 1; left out, what it gives as mono.")  # fmt: skip
@click.option("--seconds", type=float, callback=_seconds, metavar="N",
              help="Stop after so long; left out, at Ctrl-C, and with --enroll after 30.")  # fmt: skip
@click.option("--enroll", "speaker", metavar="NAME", help="Record one voice and enrol it under this name.")
@click.option("--keep", type=click.Path(), metavar="FILE.wav", help="With --enroll: keep the recording.")
@format_option("table", "json")
@common_options
def listen(
    device: int | str | None,
    list_devices: bool,
    channel: int | None,
    seconds: float | None,
    speaker: str | None,
    keep: str | None,
    layout: str,
    db: str,
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Say who is speaking into the microphone while they speak.

    A line tells when a voice has begun, as soon as it is firm whose it is, and one when it has ended. Ctrl-C ends it with a
    summary. Nothing that is heard is kept, unless --enroll makes a voice of it.
    """
    if keep is not None and speaker is None:
        raise click.UsageError("--keep is for the recording of --enroll NAME")
    if speaker is not None and seconds is not None and seconds > _MOST_ENROLL_SECONDS:
        raise click.UsageError(f"--enroll records {_MOST_ENROLL_SECONDS:g} s at most; a minute of speech is plenty")
    if list_devices:
        _print_devices(layout)
        return 0
    if speaker is not None:
        return _enrol(speaker, seconds or _ENROLL_SECONDS, keep, device, channel, layout, db, config_path, jobs, quiet)
    from speakerid.audio.microphone import Microphone
    from speakerid.workflows.identify import Identifier
    from speakerid.workflows.timeline_stream import TimelineStream

    identifier = Identifier.open(db, config=read_config(config_path))
    rate = identifier.front_end.sample_rate
    engine = TimelineStream(identifier, label=_PATH)
    with Listening() as listening, Microphone(rate, device=device, channel=channel) as microphone:
        note(f"listening to {microphone.device_name}; Ctrl-C ends it", quiet=quiet)
        with LevelMeter(wanted=not quiet) as meter:
            sound = microphone if seconds is None else _limited(microphone, round(seconds * rate))
            timeline = follow(sound, engine, layout, listening=listening, path=_PATH, meter=meter)
        heard = microphone.seconds if timeline.duration_seconds is None else timeline.duration_seconds
        note(summary(timeline, heard), quiet=quiet)
        _judge_sound(microphone, quiet=quiet)
    if listening.fault is not None:
        complain(str(listening.fault))
        return 3
    return 0


def _limited(blocks: Iterable[Any], n_samples: int) -> Iterator[Any]:
    """Give so many samples in all."""
    for block in blocks:
        yield block[:n_samples]
        n_samples -= len(block)
        if n_samples <= 0:
            return


def _print_devices(layout: str) -> None:
    from dataclasses import asdict

    from speakerid.audio.microphone import list_devices
    from speakerid.errors import RecordingError

    devices = list_devices()
    if layout == "json":
        for device in devices:
            print_json(asdict(device))
    elif devices:
        columns = [("Number", "right"), ("Device", "left"), ("System", "left"), ("Channels", "right"), ("Rate", "right"),
                   ("", "left")]  # fmt: skip
        print_table(columns, ([str(each.number), each.name, each.system, str(each.channels), f"{each.rate} Hz",
                               "default" if each.default else ""] for each in devices))  # fmt: skip
    if not devices:
        raise RecordingError("no microphone: the system shows no input device", reason="unreadable")


def _enrol(
    name: str,
    seconds: float,
    keep: str | None,
    device: int | str | None,
    channel: int | None,
    layout: str,
    db: str,
    config_path: str | None,
    jobs: int,
    quiet: bool,
) -> int:
    """Record a voice and enrol it, as ``enroll --speaker`` does with a file."""
    from speakerid.audio import Recording, load_samples
    from speakerid.audio.microphone import Microphone, record
    from speakerid.cli.enroll import print_enrollment
    from speakerid.errors import UsageError
    from speakerid.store.names import normal_name
    from speakerid.workflows.analysis import Source, Waveform
    from speakerid.workflows.enroll import enroll_recordings
    from speakerid.workflows.outputs import check_output

    # nobody should have spoken in vain: all that can be known beforehand is
    name = normal_name(name)
    check_output(keep, [".wav"])
    if keep is not None and Path(keep).exists():
        raise UsageError(f"{shown(keep)}: exists; a recording is not written over, give another name")
    config = read_config(config_path)
    enroll_recordings(db, [], config=config)

    with tempfile.TemporaryDirectory(prefix="speakerid-") as folder:
        path = Path(folder) / "microphone.wav"
        began = time.strftime("%Y-%m-%d %H:%M:%S")
        with Microphone(None, device=device, channel=channel) as microphone:
            note(f"listening to {microphone.device_name} for {seconds:g} s: {name}, speak now", quiet=quiet)
            with LevelMeter(wanted=not quiet) as meter:
                record(microphone, path, seconds, meter)
            _judge_sound(microphone, quiet=quiet)
            rate = microphone.sample_rate
        source: Source
        if keep is not None:
            shutil.move(path, keep)
            source = Recording(keep, speaker=name)
        else:
            # a name that still says something when the file is gone
            source = Waveform(load_samples(path, sample_rate=rate), rate, label=f"microphone, {began}")
    report = enroll_recordings(db, [(name, source)], config=config, jobs=1)
    print_enrollment(report, layout, db=db, jobs=jobs, quiet=quiet)
    return 3 if report.problems else 0


def _judge_sound(microphone: Microphone, *, quiet: bool) -> None:
    """Say what was wrong with the sound."""
    if microphone.lost_seconds > 0:
        complain(
            f"{microphone.lost_seconds:.1f} s of sound were lost: the computer was too busy; times are short of them"
        )
    if microphone.peak == 0 and microphone.seconds:
        complain(
            "the microphone gave digital silence: is it switched off or muted, or is this program not allowed to use it?"
        )
    elif microphone.peak < _QUIET and microphone.seconds:
        note(
            f"warning: very quiet, at most {_decibels(microphone.peak):.0f} dB: go nearer or turn the input up",
            quiet=quiet,
        )
    elif microphone.clipped_fraction > _CLIPPED:
        share = 100 * microphone.clipped_fraction
        note(f"warning: {share:.1f} % of the samples are clipped: turn the input down", quiet=quiet)


def _decibels(amplitude: float) -> float:
    """Below full scale."""
    return 20 * math.log10(max(amplitude, 1e-6))


class LevelMeter:
    """The level of what is heard, on standard error, on a terminal only; a context manager.

    Parameters
    ----------
    wanted : bool
        Show it, if there is a terminal.
    """

    # times a second that a terminal is written to, and decibels that a step of the bar stands for
    _SHOWN_A_SECOND, _STEP, _STEPS = 10, 3, 20
    # a voice that pauses is not too quiet
    _REMEMBERED = 30

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._peaks: deque[float] = deque(maxlen=self._REMEMBERED)
        self._peak = 0.0
        self._began = self._shown = time.monotonic()
        self._visible = False
        self._console: Any = None
        if self._wanted:
            from rich.console import Console

            self._console = Console(stderr=True, highlight=False, emoji=False)
            # one that cannot take a line back would be filled with meters
            self._wanted = not self._console.is_dumb_terminal

    def __enter__(self) -> LevelMeter:
        return self

    def __exit__(self, *_error: object) -> None:
        self.clear()

    def __call__(self, samples: Any) -> None:
        """Show the level of samples (n,)."""
        if not self._wanted or not len(samples):
            return
        self._peak = max(self._peak, float(abs(samples).max()))
        now = time.monotonic()
        if now - self._shown < 1 / self._SHOWN_A_SECOND:
            return
        self._peaks.append(self._peak)
        self.clear()
        self._console.print(self._bar(now - self._began), end="", no_wrap=True, overflow="crop")
        self._visible, self._shown, self._peak = True, now, 0.0

    def clear(self) -> None:
        """Take the meter away."""
        if self._visible:
            from rich.control import Control
            from rich.segment import ControlType

            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
            self._visible = False

    def _bar(self, seconds: float) -> Any:
        from rich.text import Text

        level = _decibels(self._peak)
        full = min(max(0, self._STEPS + math.ceil(level / self._STEP)), self._STEPS)
        remark, style = "", "green"
        if max(self._peaks) >= _FULL:
            remark, style = "too loud: turn the input down", "red"
        elif len(self._peaks) == self._REMEMBERED and max(self._peaks) < _QUIET:
            remark, style = "too quiet: go nearer or turn the input up", "yellow"
        return Text.assemble(
            f"{int(seconds) // 60}:{int(seconds) % 60:02d} [",
            ("=" * full + " " * (self._STEPS - full), style),
            f"] {max(level, -99):3.0f} dB  ",
            (remark, style),
        )
