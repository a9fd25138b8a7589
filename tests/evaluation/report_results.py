"""Results of made-up evaluations, as ``speakerid evaluate --json`` has them, for tests of the page."""

from __future__ import annotations

from typing import Any

import numpy as np
from outcomes import made_up_outcome

from speakerid.config import Config, to_dict
from speakerid.evaluation.figures import Figures
from speakerid.evaluation.summary import compare_systems, summarise


def made_up_results(*, seed: int, qualities: tuple[float, ...] = (3.0,), **kind: Any) -> dict[str, Any]:
    """Of one system for each quality."""
    systems, compared = [], []
    for number, quality in enumerate(qualities):
        outcome = made_up_outcome(seed=seed, quality=quality, **kind)
        figures = Figures(outcome, seed=seed, n_replicates=50)
        name = ("default", "reynolds1995", "fast", "another")[number]
        config = to_dict(Config())
        if number:
            config["front_end"]["cepstra"] = 12 + number
        compared.append((name, outcome, figures))
        systems.append(
            {
                "system": name,
                "score": "log-likelihood less that of the best other speaker enrolled",
                **summarise(outcome, figures),
                "config": config,
                "problems": [{"path": "enrol/x.wav", "reason": "no_speech", "message": "enrol/x.wav: no speech found"}],
                "timings": {"analysing": 1.25, "training": 0.5, "scoring": 2.0, "audio": 1000.0},
            }
        )
    protocol = {
        "name": "voices",
        "source": "voices.csv",
        "how": "3 of 12 recordings a speaker held out",
        "digest": "ab" * 32,
        "kind": "verification" if kind.get("listed") else "identification",
        "rounds": 1,
        "leave_one_out": bool(kind.get("left_out")),
        "enrolled_recordings": 40,
        "notes": ["2 speakers are enrolled only"],
        "passed_over": [{"path": "enrol/notes.txt", "message": "enrol/notes.txt: is no recording"}],
    }
    return {
        "protocol": protocol,
        **systems[0],
        "other_systems": systems[1:],
        "differences": compare_systems(compared[0], compared[1:]),
        "versions": {"speakerid": "0.1.0", "python": "3.11.7"},
        "created": "2026-11-22T15:07:41+00:00",
        "command": "speakerid evaluate voices.csv",
    }


def renamed(values: Any, names: dict[str, str]) -> Any:
    """The same with other names wherever one stands."""
    if isinstance(values, dict):
        return {key: renamed(value, names) for key, value in values.items()}
    if isinstance(values, list):
        return [renamed(value, names) for value in values]
    return names.get(values, values) if isinstance(values, str) else values


def tone(seconds: float, *, sample_rate: int = 16000) -> np.ndarray:
    """A quiet tone, (n_samples,)."""
    return (0.1 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * sample_rate)) / sample_rate)).astype(np.float32)
