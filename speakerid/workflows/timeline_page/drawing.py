"""What the page draws: paths of SVG that are there without a script, and arrays that the script draws as close as wanted.

Paths have seconds from the beginning of the recording or stretch for x and 0 to 1 for y, and are stretched to the width of
the page. Arrays are little-endian integers in base64.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from speakerid.scoring.windows import WindowScores
from speakerid.workflows.timeline import Segment
from speakerid.workflows.timeline_audio import AudioSummary

__all__ = ["curve_limits", "encoded_curves", "encoded_envelope", "envelope_path", "lane_path"]

_STATIC_COLUMNS = 1000
_POINTS = 20_000
_FULL = 127
_CURVE_FULL = 32767
#: Of encoded curves: no speech there.
NOTHING = -32768


def lane_path(segments: Sequence[Segment], begin: float = 0.0) -> str:
    """Rectangles of a lane's segments."""
    return "".join(
        f"M{_short(each.start - begin)} 0h{_short(each.seconds)}v1h-{_short(each.seconds)}z" for each in segments
    )


def envelope_path(audio: AudioSummary) -> str:
    """The waveform as one shape, along the top and back along the bottom."""
    peak = _peak(audio)
    each = -(-len(audio.envelope) // _STATIC_COLUMNS) or 1
    rows = [audio.envelope[start : start + each] for start in range(0, len(audio.envelope), each)]
    step = each * audio.column_seconds
    top = [f"{_short((i + 0.5) * step)} {0.5 - 0.5 * rows[i][:, 1].max() / peak:.3f}" for i in range(len(rows))]
    back = [
        f"{_short((i + 0.5) * step)} {0.5 - 0.5 * rows[i][:, 0].min() / peak:.3f}" for i in reversed(range(len(rows)))
    ]
    return f"M{'L'.join(top + back)}z" if rows else ""


def encoded_envelope(audio: AudioSummary) -> str:
    """All columns, smallest and largest in turn, int8 of the peak."""
    values = np.rint(audio.envelope / _peak(audio) * _FULL)
    return _base64(values.astype("<i1"))


def _peak(audio: AudioSummary) -> float:
    return max(float(np.abs(audio.envelope).max(initial=0.0)), 0.01)


def curve_limits(ratios: NDArray[np.float32]) -> tuple[float, float]:
    """Range of the curves that is worth showing, with 0 in it, nats a frame."""
    finite = ratios[np.isfinite(ratios)]
    if not len(finite):
        return -1.0, 1.0
    low, high = (float(each) for each in np.quantile(finite, (0.002, 0.998)))
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (-1.0, 1.0)


def encoded_curves(
    windows: WindowScores, columns: Sequence[int], limits: tuple[float, float], begin: float = 0.0
) -> tuple[str, list[str]]:
    """Times and values of the speakers' curves, each of at most 20,000 points: those of an hour and more.

    Where there are more windows, two points stand for several of them: the lowest and the highest value.

    Returns
    -------
    times : str
        Seconds, float32.
    values : list of str
        int16: 0..32767 is from the lower to the upper limit, beyond which values are cut; :data:`NOTHING` without speech.
    """
    n = len(windows)
    each = 1 if n <= _POINTS else -(-2 * n // _POINTS)
    missing = -n % each
    centres = np.pad(windows.centres - begin, (0, missing), mode="edge").reshape(-1, each) if n else np.empty((0, 1))
    times = centres if each == 1 else centres[:, [0, -1]]
    low, high = limits
    curves = []
    for column in columns:
        values = np.pad(windows.ratios[:, column].astype(np.float64), (0, missing), constant_values=np.nan)
        values = values.reshape(-1, each)
        if each > 1:
            values = np.stack((_least(values), -_least(-values)), axis=1)
        whole = np.rint(_CURVE_FULL * (np.clip(values, low, high) - low) / (high - low))
        curves.append(_base64(np.where(np.isfinite(whole), whole, NOTHING).astype("<i2")))
    return _base64(times.astype("<f4")), curves


def _least(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest of each row that is a number; nan if none is."""
    least = np.where(np.isnan(values), np.inf, values).min(axis=1)
    return np.where(np.isinf(least), np.nan, least)


def _base64(values: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _short(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".") or "0"
