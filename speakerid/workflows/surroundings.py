"""Speakers who were enrolled elsewhere than the others: what a question from there has in common with them is the place.

By the noise in their training records (:mod:`speakerid.frontend.environment`), mean over the bands: a speaker is *apart*
who is 16 dB above or below the middle of all, or has no upper band where most have one. In five clean corpora of 6 to 180
speakers nobody is (15.1 dB at most); with noise at 10 dB nearly everybody who is enrolled in it would be.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Apart", "Surroundings", "apart_from_others"]

Surroundings = Literal["noisy", "quiet", "narrow", "wide"]

_APART_DB = 16.0


@dataclass(frozen=True)
class Apart:
    """Speakers who were enrolled elsewhere, `of` so many in the store."""

    where: Surroundings
    speakers: tuple[str, ...]
    of: int


def apart_from_others(records: Mapping[str, Mapping[str, Any]], names: Collection[str]) -> tuple[Apart, ...]:
    """Tell who was enrolled elsewhere, where one of `names` was.

    Parameters
    ----------
    records : mapping of str to mapping
        Training records of all speakers of a store.
    names : collection of str
        Who is of interest.

    Returns
    -------
    groups : tuple of Apart
        Of each kind one at most; empty if it is not known of everybody.
    """
    found = {name: record.get("environment") for name, record in records.items()}
    known = {name: each for name, each in found.items() if each is not None}
    if len(known) < len(found) or len(known) < 2 or len({len(each["noise"]) for each in known.values()}) > 1:
        return ()
    noise = np.array([each["noise"] for each in known.values()], dtype=np.float64)
    beyond = (noise - np.median(noise, axis=0)).mean(axis=1)
    narrow = np.array([each["narrow"] for each in known.values()])
    few = narrow if 2 * narrow.sum() <= len(narrow) else ~narrow
    groups: tuple[tuple[Surroundings, Any], ...] = (
        ("noisy", beyond > _APART_DB),
        ("quiet", beyond < -_APART_DB),
        ("narrow" if few is narrow else "wide", few),
    )
    apart = (
        Apart(where, tuple(name for name, one in zip(known, chosen, strict=True) if one), len(known))
        for where, chosen in groups
    )
    return tuple(group for group in apart if set(group.speakers) & set(names))
