"""Enrolment for Python: the command ``enroll`` as a function that also takes arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from speakerid.config import Config
from speakerid.workflows.analysis import Source, Waveform, as_source
from speakerid.workflows.enroll import EnrollmentReport, enroll_gathered, enroll_recordings
from speakerid.workflows.gather import gather_for_enrollment

__all__ = ["enroll"]

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
