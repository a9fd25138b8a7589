"""What a degradation is, and how it is written.

Steps joined with ``+``, done in that order::

    noise:SNR[:SOURCE]     dB; white, pink, brown, babble, machine, or a file or folder of noises; a mix if left out
    telephone              300-3400 Hz, mu-law at 8 kHz
    band:LOW-HIGH          Hz
    reverb[:T60]           seconds; exponentially decaying noise
    room[:T60]             seconds; image sources in a box
    gain:DB, gain:=DB      drawn from -DB to +DB; exactly that
    codec:NAME[:KBPS]      mp3, opus, vorbis, mulaw, gsm; the rate for mp3 and opus
    clip:DB                so far below the peak

Numbers are plain decimals. A path may contain ``:`` and ``+``, but no ``+`` followed by the name of a step.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from speakerid.errors import UsageError

__all__ = [
    "CODECS",
    "NOISES",
    "Band",
    "Clip",
    "Codec",
    "Degradation",
    "Gain",
    "Noise",
    "Reverb",
    "Room",
    "Step",
    "Telephone",
    "parse_degradation",
]

NOISES = ("white", "pink", "brown", "babble", "machine")
# the range of kilobits a second where there is a choice, else None
CODECS: dict[str, tuple[int, int] | None] = {
    "mp3": (8, 320),
    "opus": (6, 256),
    "vorbis": None,
    "mulaw": None,
    "gsm": None,
}

_NUMBER = r"-?\d+(?:\.\d+)?"
_FORMS = "noise:SNR, telephone, band:LOW-HIGH, reverb, room, gain:DB, codec:NAME, clip:DB, or several joined with +"
_LOWEST_EDGE_HZ, _HIGHEST_EDGE_HZ, _NARROWEST_HZ = 10.0, 192_000.0, 10.0


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise at a signal-to-noise ratio in dB; `source` is one of `NOISES`, a path, or None for a mix."""

    snr_db: float
    source: str | None = None

    def __str__(self) -> str:
        return f"noise:{_written(self.snr_db)}" + (f":{self.source}" if self.source is not None else "")


@dataclass(frozen=True, slots=True)
class Telephone:
    """The band and the coder of a fixed-line telephone."""

    def __str__(self) -> str:
        return "telephone"


@dataclass(frozen=True, slots=True)
class Band:
    """What is between two frequencies in Hz."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"band:{_written(self.low)}-{_written(self.high)}"


@dataclass(frozen=True, slots=True)
class Reverb:
    """Reverberation of so many seconds (T60), or drawn."""

    t60: float | None = None

    def __str__(self) -> str:
        return "reverb" if self.t60 is None else f"reverb:{_written(self.t60)}"


@dataclass(frozen=True, slots=True)
class Room:
    """A box of a room, reverberating for so many seconds (T60), or drawn."""

    t60: float | None = None

    def __str__(self) -> str:
        return "room" if self.t60 is None else f"room:{_written(self.t60)}"


@dataclass(frozen=True, slots=True)
class Gain:
    """A gain drawn from ±`db`, or `exact`."""

    db: float
    exact: bool = False

    def __str__(self) -> str:
        return f"gain:{'=' if self.exact else ''}{_written(self.db)}"


@dataclass(frozen=True, slots=True)
class Codec:
    """Through a codec and back; `kbps` is kilobits a second, or the codec's default here."""

    name: str
    kbps: int | None = None

    def __str__(self) -> str:
        return f"codec:{self.name}" + (f":{self.kbps}" if self.kbps is not None else "")


@dataclass(frozen=True, slots=True)
class Clip:
    """Clipped so many dB below the peak."""

    db: float

    def __str__(self) -> str:
        return f"clip:{_written(self.db)}"


Step = Noise | Telephone | Band | Reverb | Room | Gain | Codec | Clip


@dataclass(frozen=True, slots=True)
class Degradation:
    """Steps, done in this order. Its text is its normal form; :func:`parse_degradation` is the inverse."""

    steps: tuple[Step, ...]

    @property
    def paths(self) -> list[str]:
        """The files and folders of noises that it names."""
        sources = [step.source for step in self.steps if isinstance(step, Noise)]
        return [source for source in sources if source is not None and source not in NOISES]

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))


def parse_degradation(text: str) -> Degradation:
    """Read a degradation, see the module.

    Whether files of noise are there and libsndfile has the codec is seen by
    :func:`~speakerid.audio.degradations.check_degradation`.

    Raises
    ------
    UsageError
        It is none; the message says what is allowed.
    """
    return Degradation(tuple(_step(piece, text) for piece in _pieces(text)))


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for piece in text.split("+"):
        name = piece.partition(":")[0]
        # a + that begins no step belongs to the path before it
        if pieces and name not in _READERS and re.match(rf"noise:{_NUMBER}:.", pieces[-1]):
            source = pieces[-1].split(":", 2)[2]
            if source not in NOISES:
                pieces[-1] += f"+{piece}"
                continue
        pieces.append(piece)
    return pieces


def _step(piece: str, whole: str) -> Step:
    name, colon, rest = piece.partition(":")
    reader = _READERS.get(name)
    if reader is None:
        raise _wrong(whole, f'"{piece}" is no degradation; expected {_FORMS}')
    try:
        return reader(rest if colon else None)
    except ValueError as error:
        raise _wrong(whole, f'"{piece}": {error}') from None


def _wrong(whole: str, why: str) -> UsageError:
    return UsageError(f'degradation "{whole}": {why}')


def _noise(rest: str | None) -> Noise:
    snr, colon, source = (rest or "").partition(":")
    if colon and not source:
        raise ValueError(f"no source after the colon; expected {', '.join(NOISES)}, or a file or folder of noises")
    if "\0" in source:
        raise ValueError("a path has no zero bytes")
    return Noise(_number(snr, "noise:SNR in dB", -100, 100), source or None)


def _telephone(rest: str | None) -> Telephone:
    if rest is not None:
        raise ValueError("telephone has no numbers")
    return Telephone()


def _band(rest: str | None) -> Band:
    edges = re.fullmatch(rf"({_NUMBER})-({_NUMBER})", rest or "", flags=re.ASCII)
    what = "band:LOW-HIGH in Hz"
    if edges is None:
        raise ValueError(f"expected {what}, such as band:300-3400")
    low, high = (_number(edge, what, 0, _HIGHEST_EDGE_HZ) for edge in edges.groups())
    if 0 < low < _LOWEST_EDGE_HZ or high - low < _NARROWEST_HZ:
        raise ValueError(
            f"expected {what}, LOW 0 or at least {_LOWEST_EDGE_HZ:g}, and HIGH at least {_NARROWEST_HZ:g} above it"
        )
    return Band(low, high)


def _reverb(rest: str | None) -> Reverb:
    return Reverb(None if rest is None else _number(rest, "reverb:T60 in seconds", 0.05, 10))


def _room(rest: str | None) -> Room:
    return Room(None if rest is None else _number(rest, "room:T60 in seconds", 0.1, 1))


def _gain(rest: str | None) -> Gain:
    if rest is not None and rest.startswith("="):
        return Gain(_number(rest[1:], "gain:=DB", -100, 100), exact=True)
    return Gain(_number(rest, "gain:DB", 0, 100))


def _codec(rest: str | None) -> Codec:
    name, colon, kbps = (rest or "").partition(":")
    if name not in CODECS:
        raise ValueError(f"expected codec:NAME with one of {', '.join(CODECS)}")
    limits = CODECS[name]
    if not colon:
        return Codec(name)
    if limits is None:
        raise ValueError(f"the rate of {name} cannot be chosen; write codec:{name}")
    rate = _number(kbps, f"codec:{name}:KBPS in kilobits a second", *limits)
    if not rate.is_integer():
        raise ValueError(f"expected codec:{name}:KBPS with a whole number")
    return Codec(name, int(rate))


def _clip(rest: str | None) -> Clip:
    db = _number(rest, "clip:DB below the peak", 0, 100)
    if db == 0:
        raise ValueError("expected clip:DB with more than 0, such as clip:12")
    return Clip(db)


_READERS: dict[str, Callable[[str | None], Step]] = {
    "noise": _noise,
    "telephone": _telephone,
    "band": _band,
    "reverb": _reverb,
    "room": _room,
    "gain": _gain,
    "codec": _codec,
    "clip": _clip,
}


def _number(text: str | None, what: str, low: float, high: float) -> float:
    value = float(text) if re.fullmatch(_NUMBER, text or "", flags=re.ASCII) and text is not None else math.nan
    if not low <= value <= high:
        raise ValueError(f"expected {what}, a number from {low:g} to {high:g}")
    return value + 0.0  # not -0


def _written(value: float) -> str:
    """A number as it is read: no exponent, which would have a + or a -."""
    return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
