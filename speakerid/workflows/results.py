"""The results of an evaluation, written down: JSON, CSV of all scores, clips for the page.

A file is written beside its name and renamed, so that it is whole or not there.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import io
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from speakerid._version import __version__
from speakerid.audio import Recording, open_samples
from speakerid.audio.paths import csv_field
from speakerid.config import to_dict
from speakerid.errors import RecordingError
from speakerid.evaluation.figures import Figures
from speakerid.evaluation.outcome import Outcome
from speakerid.evaluation.summary import compare_systems, finite, summarise
from speakerid.workflows.evaluate import SystemResult
from speakerid.workflows.outputs import whole_file
from speakerid.workflows.protocols import Protocol

__all__ = ["clips_of", "document", "save_json", "save_scores", "save_text", "versions_used"]

_LIBRARIES = ("numpy", "scipy", "soundfile", "soxr", "av")
_CLIP_SECONDS, _CLIPS = 12.0, 20
_SCORE_FIELDS = ("system", "path", "start", "end", "round", "left_out", "speaker", "model", "target", "log_likelihood",
                 "score", "reason")  # fmt: skip


def document(
    protocol: Protocol, results: Sequence[SystemResult], *, seed: int, command: str = "", notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Everything that is reported of an evaluation, in the JSON format of ``speakerid evaluate``.

    The keys of the first system are at the top; the other systems, with the same keys, are in ``other_systems``.

    Parameters
    ----------
    protocol : Protocol
    results : sequence of SystemResult
    seed : int
        Of the resampling for the intervals.
    command : str
        What was called.
    notes : sequence of str
        What one should know, besides the protocol's notes.
    """
    systems, compared = [], []
    for result in results:
        began = time.perf_counter()
        figures = Figures(result.outcome, seed=seed)
        summary = summarise(result.outcome, figures)
        timings = result.timings | {"figures": time.perf_counter() - began}
        compared.append((result.system.name, result.outcome, figures))
        systems.append(
            {
                "system": result.system.name,
                "degradation": None if result.system.degradation is None else str(result.system.degradation),
                "score": result.score,
                **summary,
                "problems": [asdict(problem) for problem in result.problems],
                "config": to_dict(result.system.config),
                "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
            }
        )
    about = {
        "name": protocol.name,
        "source": protocol.source,
        "kind": "identification" if protocol.trials is None else "verification",
        "how": protocol.how,
        "digest": protocol.digest,
        "rounds": len(protocol.rounds),
        "leave_one_out": protocol.leave_one_out,
        "enrolled_recordings": len({(r.path, r.start, r.end) for each in protocol.rounds for r in each.enroll}),
        "notes": [*protocol.notes, *notes],
        "passed_over": [{"path": path, "message": message} for path, message in protocol.problems],
    }
    return {
        "protocol": about,
        **systems[0],
        "other_systems": systems[1:],
        "differences": compare_systems(compared[0], compared[1:]),
        "versions": versions_used(),
        "seed": seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }


def versions_used() -> dict[str, str]:
    """Versions of the program and of what it computes with, by name."""
    versions = {"speakerid": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def save_json(path: str | Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON, one key a line, and in a list of objects one object a line.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with whole_file(path) as file:
        file.write("{\n")
        for number, (key, value) in enumerate(results.items()):
            file.write(",\n" if number else "")
            file.write(f" {_json(key)}: {_lines(value)}")
        file.write("\n}\n")


def _lines(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
    return _json(value)


def _json(value: Any) -> str:
    # a path that is not UTF-8 has surrogates, which only escapes can carry
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    with contextlib.suppress(UnicodeEncodeError):
        text.encode("utf-8")
        return text
    return json.dumps(value, allow_nan=False)


def save_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with whole_file(path) as file:
        file.write(text)


def save_scores(path: str | Path, results: Sequence[SystemResult]) -> None:
    """Write every score as CSV, a row for each recording and model; gzip'd if the name ends in ``.gz``.

    What could not be scored has empty fields and a reason; such a trial counts as a "no".

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_SCORE_FIELDS)
        for result in results:
            writer.writerows(_score_rows(result.system.name, result.outcome))


def _score_rows(system: str, outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    if outcome.listed is not None:
        trials = outcome.listed
        asked: Iterator[tuple[int, int, bool]] = zip(
            trials.row.tolist(), trials.column.tolist(), trials.target.tolist(), strict=True
        )
    else:
        asked = _every_pair(outcome)
    # made once a recording and once a model: there may be millions of rows
    models = [*map(csv_field, outcome.speakers)]
    told: int | None = None
    for number, column, target in asked:
        if number != told:
            told, row = number, outcome.rows[number]
            head = (
                csv_field(system),
                csv_field(row.path),
                "" if row.start is None else row.start,
                "" if row.end is None else row.end,
                row.round,
                int(row.left_out),
                csv_field(row.speaker or ""),
            )
            reason = row.reason or "not_enrolled"
            log_likelihoods, scores = outcome.log_likelihoods[number].tolist(), outcome.scores[number].tolist()
        score = _cell(scores[column])
        why = reason if score == "" else ""
        yield *head, models[column], int(target), _cell(log_likelihoods[column]), score, why


def _every_pair(outcome: Outcome) -> Iterator[tuple[int, int, bool]]:
    truth = outcome.truth
    for number, row in enumerate(outcome.rows):
        for column in np.flatnonzero(outcome.enrolled[row.round]).tolist():
            if not (row.left_out and outcome.speakers[column] == row.speaker):
                yield number, column, bool(truth[number] == column)


def _cell(value: float) -> float | str:
    number = finite(value)
    return "" if number is None else number


def clips_of(results: Mapping[str, Any], *, channel: int | None = None) -> dict[int, bytes]:
    """Cut the beginnings of the hardest recordings out, as FLAC files in memory.

    Parameters
    ----------
    results : mapping
        From :func:`document`.
    channel : int, optional

    Returns
    -------
    clips : dict of int to bytes
        By number of the trial: 16-bit mono FLAC, at 16 kHz, 12 s at most.
    """
    import soundfile

    clips = {}
    for number in results["hardest"][:_CLIPS]:
        trial = results["trials"][number]
        recording = Recording(trial["path"], start=trial["start"], end=trial["end"])
        samples: list[Any] = []
        length = 0
        try:
            with open_samples(recording, sample_rate=16000, channel=channel) as stream:
                for block in stream:
                    samples.append(block)
                    length += len(block)
                    if length >= _CLIP_SECONDS * 16000:
                        break
        except RecordingError:
            continue  # it was scored, so it has gone since; the page says that there is no clip
        file = io.BytesIO()
        audio = np.concatenate(samples)[: round(_CLIP_SECONDS * 16000)]
        soundfile.write(file, np.clip(audio, -1, 1), 16000, format="FLAC", subtype="PCM_16")
        clips[number] = file.getvalue()
    return clips
