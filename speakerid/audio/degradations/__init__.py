"""What happens to speech between the mouth and the file, done on purpose, to measure what it costs.

``text``      what a degradation is, and how it is written: ``telephone+noise:20``
``apply``     does it: `degrade`; bands, gain and clipping
``noises``    noise, generated or from files, at a signal-to-noise ratio
``rooms``     impulse responses of rooms
``codecs``    through a codec and back

The names are imported when first used: reading a text needs no numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speakerid.audio.degradations.apply import check_degradation, degrade, fingerprint
    from speakerid.audio.degradations.text import Degradation, parse_degradation

__all__ = ["Degradation", "check_degradation", "degrade", "fingerprint", "parse_degradation"]

_HOME = {"Degradation": "text", "parse_degradation": "text"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'apply')}"), name)
