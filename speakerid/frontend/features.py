"""Features: what the rest of the house sees of a recording.

:class:`StaticFeatures` is the compact form that a store keeps: the static cepstra in float16 and one bit of speech a
frame, 2·n_static + ⅛ bytes a frame. :func:`finish` turns static features into :class:`Features`; it is the only way to
them. Models are trained on features as a store gives them back (:meth:`StaticFeatures.rounded`), whether they have been
in one or not; recordings that are asked about are not rounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend.deltas import append_deltas
from speakerid.frontend.framing import frame_times

__all__ = ["Features", "StaticFeatures", "finish"]


@dataclass(frozen=True, eq=False)
class StaticFeatures:
    """Static cepstra and speech mask of a recording.

    Attributes
    ----------
    cepstra : ndarray, shape (n_frames, n_static), float32
    speech : ndarray of bool, shape (n_frames,)
    """

    cepstra: NDArray[np.float32]
    speech: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.cepstra)

    @property
    def n_speech(self) -> int:
        """Number of speech frames."""
        return int(np.count_nonzero(self.speech))

    def rounded(self) -> StaticFeatures:
        """Return these features as a store gives them back: cepstra rounded to float16."""
        return replace(self, cepstra=_half(self.cepstra).astype(np.float32))

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Cepstra as little-endian float16, and the mask, eight frames a byte."""
        return _half(self.cepstra).tobytes(), np.packbits(self.speech).tobytes()

    @staticmethod
    def from_bytes(cepstra: bytes, speech: bytes, n_frames: int, n_static: int) -> StaticFeatures:
        """Return what :meth:`to_bytes` wrote.

        Raises
        ------
        ValueError
            The sizes do not fit, or a value is not finite.
        """
        if n_frames < 0 or len(cepstra) != 2 * n_frames * n_static or len(speech) != (n_frames + 7) // 8:
            raise ValueError(f"expected {n_frames} frames of {n_static} cepstra, got {len(cepstra)} bytes")
        values = np.frombuffer(cepstra, dtype="<f2").reshape(n_frames, n_static).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("cepstra that are not finite")
        mask = np.unpackbits(np.frombuffer(speech, dtype=np.uint8), count=n_frames).astype(np.bool_)
        return StaticFeatures(values, mask)


def _half(cepstra: NDArray[np.float32]) -> NDArray[np.float16]:
    limit = np.float32(np.finfo(np.float16).max)
    return np.clip(cepstra, -limit, limit).astype("<f2")


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a recording, every frame on the recording's own clock.

    Attributes
    ----------
    values : ndarray, shape (n_frames, n_features), float32
        Static cepstra, then Δ, then ΔΔ.
    times : ndarray, shape (n_frames,), float64
        Centre of each frame in seconds.
    speech : ndarray of bool, shape (n_frames,)
    frame_shift : float
        Seconds from one frame to the next.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64]
    speech: NDArray[np.bool_]
    frame_shift: float

    def __len__(self) -> int:
        return len(self.values)

    @property
    def speech_values(self) -> NDArray[np.float32]:
        """The speech frames alone, shape (n_speech, n_features)."""
        return self.values[self.speech]

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech: speech frames × frame shift."""
        return int(np.count_nonzero(self.speech)) * self.frame_shift


def finish(static: StaticFeatures, config: FrontEndConfig) -> Features:
    """Append the derivatives and normalise.

    Parameters
    ----------
    static : StaticFeatures
    config : FrontEndConfig

    Returns
    -------
    features : Features
    """
    values = append_deltas(static.cepstra, config.deltas, config.delta_window)
    if config.normalisation != "none" and static.n_speech:
        speech = values[static.speech].astype(np.float64)
        values = values - speech.mean(axis=0).astype(np.float32)
        if config.normalisation == "mean_variance":
            deviation = speech.std(axis=0)
            # a feature that moves by rounding errors only carries nothing: leave it at zero
            values /= np.where(deviation > 1e-4, deviation, 1.0).astype(np.float32)
    times = frame_times(len(static), config)
    return Features(values, times, static.speech, config.frame_shift / config.sample_rate)
