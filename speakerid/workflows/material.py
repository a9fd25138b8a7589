"""Recordings dealt to folds: what settings are tuned with.

Folds keep whole recordings, whole sessions and copies of the same audio on one side. They do not cut between neighbouring
frames, which are nearly equal: a mixture that is asked about the neighbours of its own frames looks better than it is.
Only a speaker with a single recording has it cut, into one stretch a fold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speakerid.audio import Recording
from speakerid.config import Config, FrontEndConfig
from speakerid.errors import RecordingError, UsageError
from speakerid.frontend import StaticFeatures, finish
from speakerid.mixtures import recording_folds
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.store import Store, normal_name
from speakerid.workflows.analysis import analyse_for_training, located
from speakerid.workflows.enroll import Problem

__all__ = ["Frames", "Material", "material_from_recordings", "material_from_store"]

Frames = NDArray[np.float32]
# content hash, features, session
_Found = tuple[str, StaticFeatures, str]


@dataclass
class Material:
    """The speech frames of all speakers.

    Attributes
    ----------
    front_end : FrontEndConfig
    pieces : dict of str to list of (ndarray, int)
        For each speaker the frames (n, d) of each recording, and its fold.
    problems : list of Problem
        Recordings that cannot be used.
    duplicates : int
        Recordings with the same audio as another one of that speaker, left out.
    cut : list of str
        Speakers with one recording only: it was cut into stretches, one a fold.
    not_asked : list of str
        Speakers with several recordings of one session: nothing of theirs can be held out.
    """

    front_end: FrontEndConfig
    pieces: dict[str, list[tuple[Frames, int]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    duplicates: int = 0
    cut: list[str] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)

    @property
    def n_folds(self) -> int:
        """Folds that have something in them."""
        return 1 + max((fold for pieces in self.pieces.values() for _frames, fold in pieces), default=0)

    def most_frames(self) -> int:
        """Frames of the speaker who has most."""
        return max((sum(len(f) for f, _fold in pieces) for pieces in self.pieces.values()), default=0)


def material_from_recordings(
    recordings: Sequence[Recording],
    config: Config,
    *,
    folds: int,
    channel: int | None = None,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Material:
    """Analyse recordings with their speakers, and deal them to folds.

    Parameters
    ----------
    recordings : sequence of Recording
    config : Config
        Of which the front end and the least speech of a recording count.
    folds : int
    channel, jobs, progress
        As in :func:`speakerid.workflows.enroll.enroll_recordings`.

    Returns
    -------
    material : Material
        Without pieces, if no recording can be used.
    """
    material = Material(config.front_end)
    found: dict[str, list[_Found]] = {}
    owners: dict[str, tuple[str, str]] = {}
    work = partial(
        analyse_for_training,
        config=config.front_end,
        channel=channel,
        minimum_seconds=config.decision.minimum_speech_seconds,
    )
    with one_blas_thread():
        results = map_in_order(work, recordings, effective_jobs(jobs))
        for done, (recording, result) in enumerate(zip(recordings, results, strict=True), start=1):
            if isinstance(result, RecordingError):
                material.problems.append(Problem(recording.path, result.reason, located(recording, str(result))))
            else:
                name = normal_name(recording.speaker or "")
                content_hash = result.content_hash or ""
                owner, label = owners.setdefault(content_hash, (name, recording.label))
                if owner != name:
                    message = (
                        f"{recording.label}: the same audio as {label}, of {owner}, is not {name} as well: remove one"
                    )
                    material.problems.append(Problem(recording.path, "duplicate", located(recording, message)))
                elif content_hash in {h for h, _static, _session in found.get(name, [])}:
                    material.duplicates += 1
                else:
                    session = recording.kept_together or content_hash
                    found.setdefault(name, []).append((content_hash, result.static, session))
            if progress is not None:
                progress(done)
    _deal(material, found, folds)
    return material


def material_from_store(path: str | Path, *, folds: int) -> Material:
    """Take the recordings that are enrolled, and deal them to folds.

    Raises
    ------
    StoreError
        There is no store, or it cannot be used.
    UsageError
        Nobody is enrolled.
    """
    with Store(path) as store, store.reading():
        material = Material(store.front_end)
        found = {}
        for name in store.names():
            sessions = {r.content_hash: r.session or r.content_hash for r in store.recordings(name)}
            found[name] = [(h, static, sessions[h]) for h, static in store.static_features(name)]
    if not found:
        raise UsageError(f"{path}: nobody is enrolled; there is nothing to tune with")
    _deal(material, found, folds)
    return material


def _deal(material: Material, found: Mapping[str, Sequence[_Found]], folds: int) -> None:
    for name in sorted(found):
        # the order that a store has: the folds do not depend on where the recordings come from
        recordings = sorted(found[name], key=lambda item: item[0])
        frames = [finish(static, material.front_end).speech_values for _hash, static, _session in recordings]
        if len(recordings) == 1:
            material.cut.append(name)
            parts = np.array_split(frames[0], min(folds, max(len(frames[0]) // 2, 1)))
            material.pieces[name] = [(part, fold) for fold, part in enumerate(parts)]
            continue
        sessions = list(dict.fromkeys(session for _hash, _static, session in recordings))
        if len(sessions) == 1:
            material.not_asked.append(name)
        lengths = [sum(len(f) for f, (*_rest, t) in zip(frames, recordings, strict=True) if t == s) for s in sessions]
        fold_of = dict(zip(sessions, recording_folds(lengths, folds).tolist(), strict=True))
        material.pieces[name] = [(f, fold_of[s]) for f, (*_rest, s) in zip(frames, recordings, strict=True)]
