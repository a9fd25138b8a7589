"""speakerid: who is speaking? Speaker identification with Gaussian mixtures.

>>> import speakerid
>>> report = speakerid.enroll("voices/", db="speakers.db")          # doctest: +SKIP
>>> identifier = speakerid.Identifier.open("speakers.db")           # doctest: +SKIP
>>> identifier.identify("question.wav").decision                    # doctest: +SKIP
'alice'

Names are imported when they are first used, so that ``import speakerid`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from speakerid._version import __version__

if TYPE_CHECKING:
    from speakerid.audio import Recording, load_samples
    from speakerid.config import (
        Config,
        DecisionConfig,
        FrontEndConfig,
        TimelineConfig,
        TrainingConfig,
        WorldConfig,
        load_config,
    )
    from speakerid.frontend import Features, extract_features
    from speakerid.mixtures import GaussianMixture, SufficientStatistics, train
    from speakerid.store import Store
    from speakerid.workflows.analysis import Waveform
    from speakerid.workflows.calibrate import calibrate
    from speakerid.workflows.classifier import SpeakerClassifier
    from speakerid.workflows.identify import Identification, Identifier, Score
    from speakerid.workflows.library import enroll, evaluate
    from speakerid.workflows.timeline import Segment, Timeline
    from speakerid.workflows.timeline_stream import TimelineStream
    from speakerid.workflows.verify import Verification, verify

_HOMES = {
    "Config": "config",
    "DecisionConfig": "config",
    "Features": "frontend",
    "FrontEndConfig": "config",
    "GaussianMixture": "mixtures",
    "Identification": "workflows.identify",
    "Identifier": "workflows.identify",
    "Recording": "audio",
    "Score": "workflows.identify",
    "SpeakerClassifier": "workflows.classifier",
    "Segment": "workflows.timeline",
    "Store": "store",
    "SufficientStatistics": "mixtures",
    "Timeline": "workflows.timeline",
    "TimelineConfig": "config",
    "TimelineStream": "workflows.timeline_stream",
    "TrainingConfig": "config",
    "Verification": "workflows.verify",
    "Waveform": "workflows.analysis",
    "WorldConfig": "config",
    "calibrate": "workflows.calibrate",
    "enroll": "workflows.library",
    "evaluate": "workflows.library",
    "extract_features": "frontend",
    "load_config": "config",
    "load_samples": "audio",
    "train": "mixtures",
    "verify": "workflows.verify",
}

__all__ = [
    "Config",
    "DecisionConfig",
    "Features",
    "FrontEndConfig",
    "GaussianMixture",
    "Identification",
    "Identifier",
    "Recording",
    "Score",
    "Segment",
    "SpeakerClassifier",
    "Store",
    "SufficientStatistics",
    "Timeline",
    "TimelineConfig",
    "TimelineStream",
    "TrainingConfig",
    "Verification",
    "Waveform",
    "WorldConfig",
    "__version__",
    "calibrate",
    "enroll",
    "evaluate",
    "extract_features",
    "load_config",
    "load_samples",
    "train",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'speakerid' has no attribute {name!r}")
    return getattr(importlib.import_module(f"speakerid.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
