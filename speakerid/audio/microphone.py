"""The microphone: sound from an input device, through sounddevice and PortAudio (the extra ``mic``).

A device is opened at the rate that it calls its own, and resampled by soxr as recordings are: what drivers do to other rates
is of unknown quality. A device that refuses its own rate is opened at the rate wanted.

One channel is opened unless another one is asked for: sound servers announce 32 or 128 channels of which they fill one or
two, and the mean over all of them would be next to silence.

Sound is taken by PortAudio's thread and waits in a queue of a bounded length. What does not fit, and what PortAudio says it
lost, is counted in `Microphone.lost_seconds`; the clock of the samples goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import soundfile

from speakerid.audio.live import LiveSource, LiveStream
from speakerid.audio.paths import shown
from speakerid.audio.readers import DecodeFault, Floats
from speakerid.errors import MissingExtraError, RecordingError, UsageError

__all__ = ["InputDevice", "Microphone", "list_devices", "record"]

# How much sound may wait for a reader that is busy.
_QUEUE_SECONDS = 10.0
# How long a device may give nothing: between two looks at whether it is still there, and in all.
_LOOK_SECONDS = 0.5
_MOST_LOOKS = 10
_LIST = "speakerid listen --list-devices"


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that sound can be taken from.

    Attributes
    ----------
    number : int
        PortAudio's; may change when devices come and go.
    name : str
    system : str
        The system's interface that it is reached by: ALSA, Core Audio, MME, ...
    channels : int
        At most.
    rate : int
        Its own, in Hz.
    default : bool
        Taken when no device is named.
    """

    number: int
    name: str
    system: str
    channels: int
    rate: int
    default: bool


class Microphone(LiveStream):
    """Sound from an input device; a context manager. Opened when made, started when iterated.

    Parameters
    ----------
    sample_rate : int or None
        Wanted, in Hz; None is the device's own.
    device : int or str, optional
        Number or part of the name; the system's default if left out.
    channel : int, optional
        The one to take, counted from 1; what the device gives as mono if left out.
    block_seconds : float
        Length of the blocks, in seconds.

    Attributes
    ----------
    device_name : str

    Raises
    ------
    MissingExtraError
        sounddevice or PortAudio is not installed.
    RecordingError
        There is no input device, it cannot be opened, or (while iterating) it gives no more sound.
    UsageError
        No device is of that name or number, or several are.
    """

    def __init__(
        self,
        sample_rate: int | None,
        *,
        device: int | str | None = None,
        channel: int | None = None,
        block_seconds: float = 0.1,
    ) -> None:
        sounddevice = _sounddevice()
        found = _find(sounddevice, device)
        self.device_name = found.name
        if channel is not None and channel > found.channels:
            has = "1 channel" if found.channels == 1 else f"{found.channels} channels"
            raise RecordingError(
                f"{_label(found)}: has {has}, so there is no channel {channel}; channels count from 1",
                reason="unreadable",
            )
        self._reader = _open(sounddevice, found, sample_rate, channel or 1, block_seconds)
        with ExitStack() as stack:
            stack.callback(self._reader.close)
            source = LiveSource(_label(found), self._reader, channel=channel)
            wanted = self._reader.rate if sample_rate is None else sample_rate
            super().__init__(source, sample_rate=wanted, block_seconds=block_seconds)
            stack.pop_all()

    @property
    def lost_seconds(self) -> float:
        """Sound that came and could not be kept, in seconds; what PortAudio lost is taken from its clock."""
        return self._reader.lost_seconds

    def close(self) -> None:
        """Give the device back; a second time is harmless."""
        self._reader.close()


def list_devices() -> tuple[InputDevice, ...]:
    """Find the devices that sound can be taken from.

    Returns
    -------
    tuple of InputDevice
        Empty if there is none.

    Raises
    ------
    MissingExtraError
        sounddevice or PortAudio is not installed.
    """
    return tuple(_inputs(_sounddevice()))


def record(
    microphone: Microphone,
    path: str | os.PathLike[str],
    seconds: float,
    on_block: Callable[[Floats], object] | None = None,
) -> None:
    """Write what a microphone hears to a WAV file, 16 bits, mono.

    Parameters
    ----------
    microphone : Microphone
        Not yet iterated.
    path : path-like
        Written over.
    seconds : float
        How long.
    on_block : callable, optional
        Called with every block, shape (n,).

    Raises
    ------
    RecordingError
        The microphone gives no more sound.
    OSError
        The file cannot be written.
    """
    left = round(seconds * microphone.sample_rate)
    with (
        Path(path).open("wb") as file,  # soundfile's own errors say less
        soundfile.SoundFile(file, "w", microphone.sample_rate, 1, subtype="PCM_16", format="WAV") as sound,
    ):
        for block in microphone:
            sound.write(block[:left])
            left -= len(block[:left])
            if on_block is not None:
                on_block(block)
            if not left:
                break


def _sounddevice() -> Any:
    try:
        return import_module("sounddevice")
    except ImportError as error:
        raise MissingExtraError('the microphone needs the extra "mic": pip install "speakerid-gmm[mic]"') from error
    except OSError as error:
        raise MissingExtraError(
            "the microphone needs the library PortAudio, which is not installed; "
            "on Debian and Ubuntu: apt install libportaudio2"
        ) from error


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep what PortAudio and ALSA print about a device that cannot be opened from standard error: it is told in a line."""
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _inputs(sounddevice: Any) -> Iterator[InputDevice]:
    default = sounddevice.default.device[0]
    for number, found in enumerate(sounddevice.query_devices()):
        if found["max_input_channels"] > 0:
            system = sounddevice.query_hostapis(found["hostapi"])["name"]
            yield InputDevice(
                number,
                str(found["name"]),
                str(system),
                int(found["max_input_channels"]),
                round(found["default_samplerate"]),
                number == default,
            )


def _find(sounddevice: Any, device: int | str | None) -> InputDevice:
    """Give the device of that number or name, or the default one."""
    inputs = list(_inputs(sounddevice))
    if not inputs:
        raise RecordingError(
            "no microphone: the system shows no input device; connect one, or allow this program to use it",
            reason="unreadable",
        )
    try:
        index = sounddevice.query_devices(device, "input")["index"]
        return next(found for found in inputs if found.number == index)
    except (ValueError, StopIteration) as error:
        what = "several input devices match" if str(error).startswith("Multiple") else "no input device is"
        raise UsageError(f"{what} {shown(str(device))!r}; {_LIST} shows them by number") from error
    except sounddevice.PortAudioError as error:
        if device is not None:
            raise UsageError(f"no input device is {shown(str(device))!r}; {_LIST} shows them") from error
        raise RecordingError(
            f"no microphone is the system's default; name one with --device ({_LIST} shows them)", reason="unreadable"
        ) from error


def _label(device: InputDevice) -> str:
    return f"microphone {shown(device.name)}"


def _open(
    sounddevice: Any, device: InputDevice, wanted: int | None, channels: int, block_seconds: float
) -> _DeviceReader:
    """Open a device at its own rate, else at the rate wanted."""
    rates = [device.rate] if wanted in (None, device.rate) else [device.rate, wanted]
    faults = []
    for rate in rates:
        try:
            with _hushed():
                return _DeviceReader(sounddevice, device.number, rate, channels, block_seconds)
        except sounddevice.PortAudioError as error:
            faults.append(error)
    raise RecordingError(f"{_label(device)}: {_why(faults[0], channels)}", reason="unreadable") from faults[0]


# PortAudio's numbers of the errors that a user can do something about.
_INVALID_CHANNELS, _INVALID_RATE, _INVALID_DEVICE, _UNAVAILABLE = -9998, -9997, -9996, -9985


def _why(error: Exception, channels: int) -> str:
    code = error.args[1] if len(error.args) > 1 else None
    if code == _UNAVAILABLE:
        return "another program uses it, or it is gone; close that program or name another --device"
    if code == _INVALID_CHANNELS:
        return f"cannot give {channels} channels; leave --channel out or name another --device"
    if code == _INVALID_RATE:
        return "takes neither its own sample rate nor the one of the models; name another --device"
    reason = " ".join(str(error.args[0] if error.args else error).split())
    return f"cannot be opened ({reason}); name another --device ({_LIST} shows them)"


class _DeviceReader:
    """Takes sound from a device: a `Reader` for `LiveSource`."""

    frames: int | None = None
    exact = False

    def __init__(self, sounddevice: Any, number: int, rate: int, channels: int, block_seconds: float) -> None:
        self.rate, self.channels = rate, channels
        self._fault: type[Exception] = sounddevice.PortAudioError
        # None is the end.
        self._queue: queue.Queue[Floats | None] = queue.Queue(max(2, round(_QUEUE_SECONDS / block_seconds)))
        self._rest: Floats | None = None
        self._started = False
        self._lost_frames = 0.0
        self._next_time: float | None = None
        self._stream = sounddevice.InputStream(
            samplerate=rate,
            blocksize=max(1, round(block_seconds * rate)),
            device=number,
            channels=channels,
            dtype="float32",
            callback=self._take,
            finished_callback=self._finish,
        )

    @property
    def lost_seconds(self) -> float:
        return self._lost_frames / self.rate

    def _take(self, samples: Floats, frames: int, time: Any, status: Any) -> None:
        """Called by PortAudio's thread with samples (frames, channels) that are its own."""
        came = float(time.inputBufferAdcTime)
        if status.input_overflow:
            # How much is missing only the clock can tell, and not every system has one: a block at least.
            gap = 0.0 if self._next_time is None else (came - self._next_time) * self.rate
            self._lost_frames += max(gap, frames)
        self._next_time = came + frames / self.rate
        try:
            self._queue.put_nowait(samples.copy())
        except queue.Full:
            self._lost_frames += frames

    def _finish(self) -> None:
        """Called by PortAudio when the stream has ended, which is nobody's wish while it is read."""
        # A full queue is read first, and its reader then sees that the stream is not active.
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)

    def seek(self, frame: int) -> int:
        """Nobody asks for it: a live source has no stretch."""
        raise NotImplementedError

    def read(self, frames: int) -> Floats:
        """Wait for sound: (n, channels) with 0 < n <= frames. Raises DecodeFault when no more comes."""
        try:
            if not self._started:
                self._started = True
                with _hushed():
                    self._stream.start()
            block = self._next() if self._rest is None else self._rest
        except self._fault as error:
            raise DecodeFault(" ".join(str(error.args[0] if error.args else error).split())) from error
        self._rest = block[frames:] if len(block) > frames else None
        return block[:frames]

    def _next(self) -> Floats:
        for _ in range(_MOST_LOOKS):
            # Waiting for ever could not be interrupted on every system.
            with contextlib.suppress(queue.Empty):
                block = self._queue.get(timeout=_LOOK_SECONDS)
                if block is None:
                    break
                return block
            if not self._stream.active:
                break
        raise DecodeFault("the device gives no more sound; is it still connected?")

    def close(self) -> None:
        """Give the device back."""
        with contextlib.suppress(self._fault):
            # Not `stop`, which waits for what is under way.
            self._stream.abort()
        with contextlib.suppress(self._fault):
            self._stream.close()
