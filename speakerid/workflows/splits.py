"""Splits: which recordings of each speaker are enrolled, and which are asked.

What belongs together stays on one side: the recordings of a session, the stretches of a file, and copies of the same
audio, together with all that they are linked to. Such a group is drawn whole. Copies count once.

- A speaker is split alone: another speaker in the data changes nothing. The share of recordings that is held out is, for
  every speaker, as near to what is asked for as the groups allow, with a group at least on each side. A speaker with one
  group is enrolled and never asked.
- Groups are drawn in the order of SHA-256 digests of the seed, the speaker and the group's number, and groups are
  numbered in the order of their paths. So a split is the same on every machine, with every version of every library, and
  wherever the data lie.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from speakerid.audio import Recording
from speakerid.mixtures import recording_folds
from speakerid.workflows.analysis import located

__all__ = ["Grouped", "Piece", "deal_folds", "group_recordings", "hold_out"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A recording that can be split off, and what links it to others.

    Attributes
    ----------
    recording : Recording
        With its speaker.
    content_hash : str
        Of the audio.
    file : hashable
        Equal for two stretches of one file.
    name : str
        The path as the data write it, by which recordings are put in order.
    """

    recording: Recording
    content_hash: str
    file: Hashable
    name: str


@dataclass(frozen=True)
class Grouped:
    """Recordings in groups that must not be split.

    Attributes
    ----------
    recordings : tuple of Recording
        In the order given, without copies.
    groups : dict of str to tuple of tuple of int
        For each speaker the groups, as indices of `recordings`.
    copies : int
        Recordings with the same audio as another one of their speaker, left out.
    problems : tuple of (str, str)
        Path and message of recordings with the same audio as one of another speaker, left out.
    """

    recordings: tuple[Recording, ...]
    groups: dict[str, tuple[tuple[int, ...], ...]]
    copies: int = 0
    problems: tuple[tuple[str, str], ...] = ()


def group_recordings(pieces: Sequence[Piece]) -> Grouped:
    """Leave out copies, and find what belongs together.

    Of the same audio under two speakers the first is kept; that the other is left out is a problem.

    Parameters
    ----------
    pieces : sequence of Piece

    Returns
    -------
    Grouped
        Groups in the order of their paths.
    """
    first: dict[str, int] = {}
    by_speaker: dict[str, list[int]] = {}
    problems = []
    for i, piece in enumerate(pieces):
        recording, owner = piece.recording, pieces[first.setdefault(piece.content_hash, i)].recording
        if owner.speaker == recording.speaker:
            by_speaker.setdefault(recording.speaker or "", []).append(i)
        else:
            message = (
                f"{recording.label}: the same audio as {owner.label}, of {owner.speaker}, is not {recording.speaker} as "
                "well: remove one"
            )
            problems.append((recording.path, located(recording, message)))
    kept = {i: number for number, i in enumerate(sorted(first.values()))}
    groups = {}
    for speaker in sorted(by_speaker):
        # copies are left out only here: what a copy is linked to stays together
        linked = sorted(_linked(pieces, by_speaker[speaker]), key=lambda group: min(_place(pieces[i]) for i in group))
        groups[speaker] = tuple(tuple(kept[i] for i in group if i in kept) for group in linked)
    recordings = tuple(pieces[i].recording for i in kept)
    return Grouped(recordings, groups, len(pieces) - len(recordings) - len(problems), tuple(problems))


def hold_out(grouped: Grouped, fraction: float, *, seed: int) -> list[int | None]:
    """Draw the recordings to ask.

    Parameters
    ----------
    grouped : Grouped
    fraction : float
        Share of the recordings of each speaker, 0..1.
    seed : int

    Returns
    -------
    list of int or None
        For each recording 0, the only round, if it is asked; None if it is enrolled.
    """
    asked_in: list[int | None] = [None] * len(grouped.recordings)
    for speaker, groups in grouped.groups.items():
        order = [groups[i] for i in _drawn(len(groups), seed, f"group {speaker}")]
        sizes = [len(group) for group in order]
        for group, chosen in zip(order, _nearest(sizes, fraction * sum(sizes)), strict=True):
            for i in group if chosen else ():
                asked_in[i] = 0
    return asked_in


def deal_folds(grouped: Grouped, n_folds: int, *, seed: int) -> list[int | None]:
    """Deal the recordings to folds of about the same size, each of which is asked in a round of its own.

    Parameters
    ----------
    grouped : Grouped
    n_folds : int
    seed : int

    Returns
    -------
    list of int or None
        For each recording the round in which it is asked; None if it is always enrolled.
    """
    asked_in: list[int | None] = [None] * len(grouped.recordings)
    for speaker, groups in grouped.groups.items():
        if len(groups) < 2:
            continue
        order = [groups[i] for i in _drawn(len(groups), seed, f"group {speaker}")]
        # the first folds get most; drawn for each speaker, the rounds come out alike
        names = _drawn(n_folds, seed, f"fold {speaker}")
        folds = recording_folds([len(group) for group in order], n_folds).tolist()
        for group, fold in zip(order, folds, strict=True):
            for i in group:
                asked_in[i] = names[fold]
    return asked_in


def _place(piece: Piece) -> tuple[tuple[str, ...], float, float]:
    recording = piece.recording
    end = math.inf if recording.end is None else recording.end
    return PurePosixPath(piece.name).parts, recording.start or 0.0, end


def _linked(pieces: Sequence[Piece], chosen: Sequence[int]) -> list[list[int]]:
    """Give the sets of chosen pieces that are linked by a session, a file or the same audio, through others or not."""
    root = {i: i for i in chosen}

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    first: dict[tuple[str, Hashable], int] = {}
    for i in chosen:
        links: list[tuple[str, Hashable]] = [("file", pieces[i].file), ("audio", pieces[i].content_hash)]
        if pieces[i].recording.session is not None:
            links.append(("session", pieces[i].recording.session))
        for link in links:
            root[find(i)] = find(first.setdefault(link, i))
    found: dict[int, list[int]] = {}
    for i in chosen:
        found.setdefault(find(i), []).append(i)
    return list(found.values())


def _drawn(n: int, seed: int, what: str) -> list[int]:
    """Shuffle 0..n-1, for ever in the same way."""
    return sorted(range(n), key=lambda i: hashlib.sha256(f"{seed} {i} {what}".encode()).digest())


def _nearest(sizes: Sequence[int], wanted: float) -> list[bool]:
    """Choose groups whose sizes add up as near to a number as any choice's do, but not none and not all.

    Of two equally near sums the smaller is taken; of the choices with that sum the one that has the first groups.
    """
    total = sum(sizes)
    if len(sizes) < 2:
        return [False] * len(sizes)
    if max(sizes) == 1:
        n_chosen = min(range(1, total), key=lambda n: (abs(n - wanted), n))
        return [i < n_chosen for i in range(total)]
    # bit s of reachable[i]: groups i, i + 1, ... can add up to s
    reachable = [1]
    for size in reversed(sizes):
        reachable.append(reachable[-1] | reachable[-1] << size)
    reachable.reverse()
    bits = f"{reachable[0]:b}"[::-1]
    left = min((s for s in range(1, total) if bits[s] == "1"), key=lambda s: (abs(s - wanted), s))
    chosen = []
    for size, rest in zip(sizes, reachable[1:], strict=True):
        take = size <= left and bool(rest >> (left - size) & 1)
        left -= size * take
        chosen.append(take)
    return chosen
