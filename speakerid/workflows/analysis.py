"""From a recording, on disk or in memory, to its static features: the step that every command begins with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from speakerid.audio import RawFormat, Recording, SampleStream, array_stream, open_samples
from speakerid.config import FrontEndConfig
from speakerid.errors import RecordingError
from speakerid.frontend import StaticFeatures, extract_static

__all__ = [
    "Analysis",
    "Source",
    "Waveform",
    "analyse",
    "analyse_for_training",
    "as_source",
    "located",
    "open_source",
    "require_speech",
]


@dataclass(frozen=True, eq=False)
class Waveform:
    """Samples in memory.

    Attributes
    ----------
    samples : array_like, shape (n_samples,)
        Mono; floats at full scale ±1, or integers at their own full scale.
    sample_rate : int
        In Hz.
    label : str
        What to call it in answers and messages.
    """

    samples: ArrayLike
    sample_rate: int
    label: str = "(array)"


Source = Recording | Waveform


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in a recording.

    Attributes
    ----------
    static : StaticFeatures
    seconds : float
        Length of the recording.
    speech_seconds : float
    content_hash : str or None
        Of the samples; None when it was not asked for.
    source_rate : int
        Of the recording itself, in Hz.
    clipped_fraction : float
        Share of the samples that stand at full scale, 0..1.
    """

    static: StaticFeatures
    seconds: float
    speech_seconds: float
    content_hash: str | None
    source_rate: int
    clipped_fraction: float


def as_source(item: Source | str | os.PathLike[str] | np.ndarray, *, sample_rate: int | None = None) -> Source:
    """Take a path, a recording or an array.

    Raises
    ------
    TypeError
        An array without `sample_rate`.
    """
    if isinstance(item, Recording | Waveform):
        return item
    if isinstance(item, np.ndarray):
        if sample_rate is None:
            raise TypeError("samples in an array need sample_rate=")
        return Waveform(item, sample_rate)
    return Recording(os.fspath(item))


def open_source(
    source: Source,
    rate: int,
    *,
    channel: int | None,
    raw: RawFormat | None,
    stdin: BinaryIO | None,
    hashed: bool,
    block_seconds: float = 10.0,
) -> SampleStream:
    """Open a recording or samples in memory, to be read in blocks at a rate; a context manager."""
    if isinstance(source, Waveform):
        return array_stream(
            source.samples, source.sample_rate, sample_rate=rate, block_seconds=block_seconds, hash_content=hashed
        )
    return open_samples(
        source,
        sample_rate=rate,
        channel=channel,
        block_seconds=block_seconds,
        raw=raw,
        stdin=stdin,
        hash_content=hashed,
    )


def analyse(
    source: Source,
    config: FrontEndConfig,
    *,
    channel: int | None = None,
    raw: RawFormat | None = None,
    stdin: BinaryIO | None = None,
    hash_content: bool = False,
) -> Analysis:
    """Read a recording in blocks and extract its static features.

    Parameters
    ----------
    source : Recording or Waveform
    config : FrontEndConfig
    channel : int, optional
        The channel to take, counted from 1; the mean of all if None.
    raw, stdin
        As in :func:`speakerid.audio.open_samples`.
    hash_content : bool
        Compute the content hash as well.

    Raises
    ------
    RecordingError
        The recording cannot be read.
    """
    with open_source(source, config.sample_rate, channel=channel, raw=raw, stdin=stdin, hashed=hash_content) as stream:
        static = extract_static(stream, config)
        speech_seconds = static.n_speech * config.frame_shift / config.sample_rate
        return Analysis(
            static=static,
            seconds=stream.seconds,
            speech_seconds=speech_seconds,
            content_hash=stream.content_hash,
            source_rate=stream.source_rate,
            clipped_fraction=stream.clipped_fraction,
        )


_with_content_hash = partial(analyse, hash_content=True)


def analyse_for_training(
    source: Source,
    config: FrontEndConfig,
    *,
    channel: int | None,
    minimum_seconds: float,
    analyse: Callable[..., Analysis] = _with_content_hash,
) -> Analysis | RecordingError:
    """Return the analysis of a recording with enough speech, features rounded as a store gives them back; or the error.

    `analyse` gives analyses with their content hashes: it may take them from a cache.
    """
    try:
        analysis = analyse(source, config, channel=channel)
        require_speech(analysis.seconds, analysis.speech_seconds, source.label, minimum_seconds)
    except RecordingError as error:
        return error
    # so that a model does not depend on whether the features came from a store
    return replace(analysis, static=analysis.static.rounded())


def located(source: Source, message: str) -> str:
    """Say as well where the recording was named, if that was in a manifest."""
    origin = source.origin if isinstance(source, Recording) else ""
    return f"{origin}: {message}" if origin else message


def require_speech(seconds: float, speech_seconds: float, label: str, minimum_seconds: float) -> None:
    """Refuse a recording without enough speech.

    Raises
    ------
    RecordingError
        ``no_speech`` or ``too_short``.
    """
    if seconds < minimum_seconds:
        raise RecordingError(
            f"{label}: only {seconds:.2f} s long; at least {minimum_seconds:g} s of speech are needed",
            reason="too_short",
        )
    if speech_seconds == 0:
        raise RecordingError(f"{label}: no speech found in {seconds:.1f} s (silence or noise only)", reason="no_speech")
    if speech_seconds < minimum_seconds:
        raise RecordingError(
            f"{label}: only {speech_seconds:.2f} s of speech found in {seconds:.1f} s; "
            f"at least {minimum_seconds:g} s are needed",
            reason="too_short",
        )
