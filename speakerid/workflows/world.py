"""World models: one mixture of many people's speech, from any amount of audio.

The speech frames of all recordings are written to a file, one recording after the other, and EM reads that file tile by
tile, so memory does not grow with the audio. The mixture grows by binary splitting, a few iterations a level, and then
settles. After every recording, every level and every few iterations what there is is kept in the work folder: a training
that was stopped goes on from there, and gives the same model as one that was not. What is kept carries digests, and is
believed as far as they are right; one training at a time has the folder.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from speakerid._version import __version__
from speakerid.audio import (
    Degradation,
    Recording,
    check_degradation,
    discover_audio,
    is_manifest,
    parse_degradation,
    read_manifest,
)
from speakerid.config import Config, differences
from speakerid.errors import UsageError, WorldError
from speakerid.frontend.environment import mel_basis
from speakerid.mixtures import GaussianMixture
from speakerid.parallel import effective_jobs, one_blas_thread
from speakerid.store import World, WorldPart, read_world, write_world
from speakerid.store.world_file import check_writable, is_world_file
from speakerid.workflows.enroll import Problem
from speakerid.workflows.gather import Gathered
from speakerid.workflows.outputs import refuse_inputs
from speakerid.workflows.world_work import FRAMES_A_COMPONENT, NAMES, Found, WorldWork, exclusive, has_journal

__all__ = ["WorldReport", "gather_for_world", "join_worlds", "kept_in", "train_world"]

# of a number that somebody else may have written
_LARGEST = 1e15
# so many equal parts are named one by one
_WRITTEN_OUT = 3


def gather_for_world(paths: Sequence[str]) -> Gathered:
    """Find recordings, whoever speaks in them: files, folders searched in depth, and all rows of manifests.

    Raises
    ------
    UsageError
        A path is missing, or there is no audio.
    ManifestError
        A manifest is malformed.
    """
    gathered = Gathered()
    for path in paths:
        if is_manifest(path):
            gathered.recordings.extend(read_manifest(path, require_speaker=False))
        else:
            found = discover_audio([path])
            gathered.recordings.extend(found.recordings)
            gathered.problems.extend(found.problems)
            gathered.ignored.extend(found.ignored)
    if not gathered.recordings:
        raise UsageError(f"no recordings in {', '.join(paths)}")
    return gathered


@dataclass
class WorldReport:
    """A trained world model, and what could not be used for it.

    Attributes
    ----------
    world : World
    problems : list of Problem
    duplicates : int
        Recordings with the same audio as another one, used once.
    resumed : bool
        A part had been done before.
    """

    world: World
    problems: list[Problem] = field(default_factory=list)
    duplicates: int = 0
    resumed: bool = False


def train_world(
    recordings: Sequence[Recording],
    config: Config,
    *,
    output: str | os.PathLike[str],
    components: int,
    iterations: int = 20,
    variance_floor: float = 0.01,
    licence: str = "",
    degradations: Sequence[Degradation | str] = (),
    work_folder: str | os.PathLike[str] | None = None,
    inputs: Sequence[str] = (),
    replace: bool = True,
    channel: int | None = None,
    jobs: int | None = None,
    analysed: Callable[[int], None] | None = None,
    trained: Callable[[int, int], None] | None = None,
) -> WorldReport:
    """Train a world model and write its file.

    Parameters
    ----------
    recordings : sequence of Recording
        Their speakers do not matter.
    config : Config
        Of which the front end counts, and the least speech of a recording.
    output : path-like
        The file; a world model that is there is replaced when the new one is complete, and nothing else is.
    components : int
        K.
    iterations : int
        Of EM at most, once there are K.
    variance_floor : float
        Relative to the variance of all frames.
    licence : str
        Whose recordings they are and under which licence; kept in the model.
    degradations : sequence of Degradation or str
        Every recording is learned from once more in each of these conditions, as it is told in
        :mod:`speakerid.audio.degradations`: a world model that knows telephones gives ratios that mean something there.
    work_folder : path-like, optional
        For the frames and what is done so far, of which nothing is left at the end; beside the output if left out. 160 bytes
        a frame with the default settings: 58 MB an hour of speech.
    inputs : sequence of str
        What else is read and must not be written over: manifests, settings.
    replace : bool
        Also a world model may not be written over if False.
    channel, jobs
        As in :func:`speakerid.workflows.enroll.enroll_recordings`.
    analysed : callable, optional
        Called with the number of recordings that are done.
    trained : callable, optional
        Called with the components and iterations that are done.

    Raises
    ------
    UsageError
        No recording can be used, there is too little speech for so many components, the output would be written over
        something else, or another training uses the work folder.
    OSError
        The output or the work folder cannot be written.
    """
    folder = _folder_of(output, work_folder)
    copies = [each if isinstance(each, Degradation) else parse_degradation(each) for each in degradations]
    for degradation in copies:
        check_degradation(degradation)
    _check_output(output, folder, [*(r.path for r in recordings), *inputs], replace=replace)
    with exclusive(folder), one_blas_thread():
        everything = [dataclasses.replace(r, degradation=each) for each in (None, *copies) for r in recordings]
        work = WorldWork(folder, everything, config, components, iterations, variance_floor, channel)
        found = work.frames(effective_jobs(jobs), analysed)
        seconds_a_frame = config.front_end.frame_shift / config.front_end.sample_rate
        _require_enough(work, found, seconds_a_frame)
        mixture, log_likelihood = work.train(found, jobs, trained)
        about = {
            "recordings": len(found.hashes),
            "speech_seconds": round(found.n_frames * seconds_a_frame, 3),
            "frames": found.n_frames,
            "list_sha256": found.list_hash,
            "licence": licence,
            "degradations": ", ".join(map(str, copies)),
            "log_likelihood": round(log_likelihood, 6),
            "variance_floor": variance_floor,
            "iterations": iterations,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": __version__,
        }
        # rounded to what the file keeps, so that a model from memory and one from the file are the same
        world = World.from_bytes(World(mixture, config.front_end, about).to_bytes(), where="the trained world model")
        write_world(output, world)
        work.remove()
    return WorldReport(world, found.problems, found.duplicates, work.resumed)


def join_worlds(
    paths: Sequence[str | os.PathLike[str]], *, output: str | os.PathLike[str], replace: bool = True
) -> World:
    """Join world models of the same features to one, of which each is a part, and write its file.

    Speakers adapt each part by itself. Parts that were trained in rooms, beside others that were not, adapt to every
    recording also as it would sound in a room.

    Parameters
    ----------
    paths : sequence of path-like
        Two files or more.
    output : path-like
    replace : bool
        A world model that is there may not be written over if False.

    Returns
    -------
    world : World
        Whose weights are those of the parts, each part counting alike.

    Raises
    ------
    WorldError
        A file is no world model, of other features than the first, or joined already.
    UsageError
        There are fewer than two, or the output would be written over something else.
    OSError
        The output cannot be written.
    """
    if len(paths) < 2:
        raise UsageError("joining takes two world models or more")
    _check_output(output, _folder_of(output, None), [os.fspath(path) for path in paths], replace=replace)
    worlds = [read_world(path) for path in paths]
    for path, world in zip(paths, worlds, strict=True):
        unequal = differences(world.front_end, worlds[0].front_end)
        if unequal:
            raise WorldError(f"{path}: of other features than {paths[0]}: {'; '.join(unequal)}")
        if world.parts:
            raise WorldError(f"{path}: joined already; join what it was joined from")
    in_rooms = [_trained_in_rooms(world) for world in worlds]
    if any(in_rooms) and mel_basis(worlds[0].front_end) is None:
        raise WorldError(
            f"{paths[in_rooms.index(True)]}: these features do not show the spectrum, so speakers cannot be put into rooms; "
            "train it without room and reverb"
        )
    parts = tuple(
        WorldPart(world.mixture.n_components, rooms and not all(in_rooms))
        for world, rooms in zip(worlds, in_rooms, strict=True)
    )
    mixtures = [world.mixture for world in worlds]
    mixture = GaussianMixture(
        np.concatenate([each.weights for each in mixtures]) / len(mixtures),
        np.concatenate([each.means for each in mixtures]),
        np.concatenate([each.covariances for each in mixtures]),
    )
    about = {
        **{name: _added(worlds, name) for name in ("recordings", "speech_seconds", "frames")},
        "licence": "; ".join(dict.fromkeys(filter(None, (str(world.about.get("licence", "")) for world in worlds)))),
        "degradations": _listed(str(world.about.get("degradations", "")) or "none" for world in worlds),
        "joined": _listed(f"{part.components}{' in rooms' if part.rooms else ''}" for part in parts),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
    }
    joined = World(mixture, worlds[0].front_end, about, parts)
    joined = World.from_bytes(joined.to_bytes(), where="the joined world model")
    write_world(output, joined)
    return joined


def _added(worlds: Sequence[World], name: str) -> float:
    """Add what is said about worlds; as anything may be written there, what is a number."""
    values = (world.about.get(name, 0) for world in worlds)
    return round(sum(value for value in values if isinstance(value, int | float) and abs(value) < _LARGEST), 3)


def _listed(texts: Iterable[str]) -> str:
    """Texts with a plus between, equal neighbours as one."""
    groups = [(text, len(list(same))) for text, same in itertools.groupby(texts)]
    return " + ".join(f"{n} × ({text})" if n > _WRITTEN_OUT else " + ".join([text] * n) for text, n in groups)


def _trained_in_rooms(world: World) -> bool:
    steps = str(world.about.get("degradations", "")).replace(", ", "+").split("+")
    return any(step.split(":")[0] in ("room", "reverb") for step in steps)


def kept_in(output: str | os.PathLike[str], work_folder: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the work folder of a training, if there is something in it to go on with."""
    folder = _folder_of(output, work_folder)
    return folder if has_journal(folder) else None


def _folder_of(output: str | os.PathLike[str], work_folder: str | os.PathLike[str] | None) -> Path:
    # as a Path: with "w.gmm/" the folder would be below the output's own name
    return Path(work_folder or f"{Path(output)}.work")


def _check_output(output: str | os.PathLike[str], folder: Path, inputs: Sequence[str], *, replace: bool) -> None:
    """Refuse an output that cannot be written in the end, or that is something else already."""
    target = Path(output)
    if target.is_dir():
        raise UsageError(f"{output}: a folder; give --output a file's name")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{output}: there is no folder {target.absolute().parent}; make it first")
    check_writable(target)
    place, work = Path(os.path.realpath(target)), Path(os.path.realpath(folder))
    if place in (work, *work.parents, *(work / name for name in NAMES)):
        raise UsageError(f"{output}: the work folder {folder} needs this name; give another --output")
    refuse_inputs([str(target), *(str(folder / name) for name in NAMES)], inputs)
    if not os.path.lexists(target):
        return
    if not target.is_file():
        raise UsageError(f"{output}: exists and is not a regular file; give another --output")
    if target.stat().st_size and not is_world_file(target):
        raise UsageError(f"{output}: exists and is no world model, so it is not written over; give another --output")
    if not replace:
        raise UsageError(f"{output}: exists already; give another --output, or --force")


def _require_enough(work: WorldWork, found: Found, seconds_a_frame: float) -> None:
    needed, most = FRAMES_A_COMPONENT * work.components, found.n_frames // FRAMES_A_COMPONENT
    if found.n_frames >= needed:
        return
    message = (
        f"{work.components} components need {needed * seconds_a_frame:.0f} s of speech at least, and there are "
        f"{found.n_frames * seconds_a_frame:.0f} s: use more recordings"
    )
    if most:
        message += (
            f" or fewer components; the analysis is kept in {work.folder}: with --components {most} or less it goes on "
            "at once"
        )
    else:
        work.remove()
    raise UsageError(message)
