"""The commands ``enroll`` and ``evaluate`` as functions; ``enroll`` also takes arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from speakerid.audio import Degradation
from speakerid.config import Config
from speakerid.errors import UsageError
from speakerid.workflows.analysis import Source, Waveform, as_source
from speakerid.workflows.enroll import EnrollmentReport, enroll_gathered, enroll_recordings
from speakerid.workflows.gather import gather_for_enrollment

__all__ = ["enroll", "evaluate"]

Given = Source | str | os.PathLike[str] | np.ndarray


def enroll(
    recordings: str | os.PathLike[str] | Mapping[str, Given | Iterable[Given]],
    *,
    db: str | Path = "speakers.db",
    sample_rate: int | None = None,
    config: Config | None = None,
    replace: bool = False,
    components: int | Literal["auto"] | None = None,
    channel: int | None = None,
    jobs: int | None = None,
) -> EnrollmentReport:
    """Enrol speakers.

    Parameters
    ----------
    recordings : path-like or mapping
        A folder of speaker folders or a manifest; or names with their recordings: paths, arrays of shape (n_samples,),
        :class:`~speakerid.Recording` or :class:`~speakerid.Waveform`, one or several.
    db : path-like
        The store; made if it does not exist.
    sample_rate : int, optional
        Of the arrays, in Hz.
    config, replace, components, channel, jobs
        As in :func:`speakerid.workflows.enroll.enroll_recordings`.

    Returns
    -------
    report : EnrollmentReport
        Speakers, problems and ignored files. What could not be used is in ``report.problems``, not raised.

    Raises
    ------
    UsageError
        A folder without speakers, a malformed manifest, a name that cannot be one.
    StoreError
        The store cannot be used, or was made with other settings.
    """
    if not isinstance(recordings, Mapping):
        gathered = gather_for_enrollment([os.fspath(recordings)])
        return enroll_gathered(
            db, gathered, config=config, replace=replace, components=components, channel=channel, jobs=jobs
        )
    items = [(name, source) for name, given in recordings.items() for source in _sources(name, given, sample_rate)]
    return enroll_recordings(
        db, items, config=config, replace=replace, components=components, channel=channel, jobs=jobs
    )


def evaluate(
    data: str | os.PathLike[str],
    *,
    config: Config | Mapping[str, Config] | None = None,
    layout: str = "auto",
    test_fraction: float | None = None,
    folds: int | None = None,
    leave_one_speaker_out: bool = False,
    seed: int = 0,
    enroll: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    threshold: float | None = None,
    false_accept_rate: float | None = None,
    channel: int | None = None,
    degrade: Sequence[str | Degradation] = (),
    cache: bool = True,
    jobs: int | None = None,
) -> dict[str, Any]:
    """Measure how well speakers are told apart.

    Parameters
    ----------
    data : path-like
        A folder of speaker folders, a manifest or a trial list.
    config : Config or mapping of str to Config, optional
        Settings, or several systems by name, which are compared with the first.
    layout, test_fraction, folds, leave_one_speaker_out, seed, enroll, root
        As in :func:`speakerid.workflows.protocols.read_protocol`.
    threshold : float, optional
        The least margin that gets a name, nats a frame.
    false_accept_rate : float, optional
        Share of strangers that may get a name, in place of that of the settings, where scores are calibrated.
    channel : int, optional
        Channel to take, counted from 1.
    degrade : sequence of str or Degradation
        Each is done to the recordings asked, for one more system beside each of `config`: ``["noise:10", "telephone"]``,
        see :func:`speakerid.audio.parse_degradation`. What is drawn for them depends on `seed`.
    cache : bool
        Use and keep features and scores of other runs.
    jobs : int, optional
        Workers; all cores if left out. The result does not depend on it.

    Returns
    -------
    results : dict
        As ``speakerid evaluate --json`` writes it; :func:`speakerid.evaluation.report.render_report` makes the page of it.

    Raises
    ------
    UsageError
        The request is wrong, or there is nothing to ask.
    ManifestError
        A row of a manifest or list is wrong.
    """
    from speakerid.workflows.cache import FeatureCache
    from speakerid.workflows.evaluate import System, content_hashes, degraded_systems, evaluate_system
    from speakerid.workflows.protocols import read_protocol
    from speakerid.workflows.results import document
    from speakerid.workflows.score_book import books_beside

    configs = config if isinstance(config, Mapping) else {"default": config or Config()}
    systems = [System(name, settings) for name, settings in configs.items()]
    if not systems:
        raise UsageError("no systems to evaluate")
    # a text is a sequence of texts too, of its letters
    systems = degraded_systems(systems, [degrade] if isinstance(degrade, str) else degrade, seed=seed)
    with FeatureCache.from_environment() if cache else FeatureCache.temporary() as features:
        protocol = read_protocol(
            os.fspath(data),
            content_hashes=partial(
                content_hashes, config=systems[0].config, cache=features, channel=channel, jobs=jobs
            ),
            layout=layout,
            test_fraction=test_fraction,
            folds=folds,
            leave_one_speaker_out=leave_one_speaker_out,
            seed=seed,
            enroll=None if enroll is None else os.fspath(enroll),
            root=None if root is None else os.fspath(root),
        )
        books = books_beside(features)
        results = [
            evaluate_system(
                protocol,
                system,
                features,
                channel=channel,
                threshold=threshold,
                false_accept_rate=false_accept_rate,
                books=books,
                jobs=jobs,
            )
            for system in systems
        ]
    return document(protocol, results, seed=seed)


def _sources(name: str, given: Given | Iterable[Given], sample_rate: int | None) -> Iterable[Source]:
    one = isinstance(given, str | os.PathLike | np.ndarray | Source)
    many: Iterable[Given] = [given] if one else given  # type: ignore[list-item, assignment]
    for number, item in enumerate(many, start=1):
        if isinstance(item, np.ndarray):
            if sample_rate is None:
                raise TypeError("samples in an array need sample_rate=")
            yield Waveform(item, sample_rate, label=f"{name}, array {number}")
        else:
            yield as_source(item)
