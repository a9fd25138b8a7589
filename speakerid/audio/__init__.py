"""Audio: paths become mono float32 samples at a stated rate; folders and manifests become recordings.

The public names are imported when first used, because numpy, soundfile and soxr take longer to import than a help
text takes to print.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speakerid.audio.decode import AudioSource, RawFormat, open_audio
    from speakerid.audio.degradations import Degradation, check_degradation, degrade, parse_degradation
    from speakerid.audio.layouts import LAYOUTS, discover_layout, recognise_layout
    from speakerid.audio.recordings import (
        AUDIO_EXTENSIONS,
        Discovery,
        Recording,
        discover_audio,
        discover_speakers,
        is_manifest,
        read_manifest,
    )
    from speakerid.audio.samples import SampleStream, array_stream, load_samples, open_samples
    from speakerid.audio.trials import Trial, read_trials

__all__ = [
    "AUDIO_EXTENSIONS",
    "LAYOUTS",
    "AudioSource",
    "Degradation",
    "Discovery",
    "RawFormat",
    "Recording",
    "SampleStream",
    "Trial",
    "array_stream",
    "check_degradation",
    "degrade",
    "discover_audio",
    "discover_layout",
    "discover_speakers",
    "is_manifest",
    "load_samples",
    "open_audio",
    "open_samples",
    "parse_degradation",
    "read_manifest",
    "read_trials",
    "recognise_layout",
]

_HOME = {
    **dict.fromkeys(("AudioSource", "RawFormat", "open_audio"), "decode"),
    **dict.fromkeys(("Degradation", "check_degradation", "degrade", "parse_degradation"), "degradations"),
    **dict.fromkeys(("SampleStream", "array_stream", "load_samples", "open_samples"), "samples"),
    **dict.fromkeys(("LAYOUTS", "discover_layout", "recognise_layout"), "layouts"),
    **dict.fromkeys(("Trial", "read_trials"), "trials"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'recordings')}"), name)


def __dir__() -> list[str]:
    return __all__
