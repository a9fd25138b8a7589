"""From the settings to how speakers are learned: by EM from nothing, or from a world model by adaptation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speakerid.config import Config, FrontEndConfig, TrainingConfig, differences
from speakerid.errors import TrainingError, UsageError, WorldError
from speakerid.frontend import StaticFeatures, finish
from speakerid.frontend.environment import environment_of_speaker
from speakerid.frontend.reverberation import in_a_room
from speakerid.mixtures import GaussianMixture, Part, TrainingRecord, adapt_each, train_each
from speakerid.store import World, read_world
from speakerid.workflows.shipped import shipped_world

__all__ = ["learn_each", "recording_frames", "world_of"]


def world_of(config: Config) -> World | None:
    """Read the world model that the settings name, if they name one.

    Raises
    ------
    UsageError
        The settings need one, and there is none.
    WorldError
        It cannot be read, or is of other features.
    """
    if config.world.file == "auto":
        world = shipped_world(config.front_end)
        if world is None and config.training.method == "map":
            raise UsageError(
                "no world model comes with the program for these [front_end] settings: train one with speakerid world train "
                'and name it in [world] file, or set [training] method = "ml"'
            )
        return world
    if not config.world.file:
        if config.training.method == "map":
            raise UsageError(
                '[training] method = "map" adapts a world model, and [world] file names none: '
                'train one with speakerid world train, and name it there, or set method = "ml"'
            )
        return None
    world = read_world(config.world.file)
    unequal = differences(world.front_end, config.front_end)
    if unequal:
        raise WorldError(
            f"{config.world.file}: the world model is of other features: {'; '.join(unequal)} (world against settings); "
            "train one with these settings"
        )
    return world


def recording_frames(
    recordings: Iterable[tuple[str, StaticFeatures]], config: FrontEndConfig
) -> list[NDArray[np.float32]]:
    """Speech frames of each of a speaker's recordings, (n_i, d), in the order of the recordings' content hashes.

    The one order there is, so that a model does not depend on when its recordings came.
    """
    ordered = sorted(recordings, key=lambda item: item[0])
    return [finish(static, config).speech_values for _hash, static in ordered]


def learn_each(
    speakers: Sequence[Sequence[NDArray[Any]]],
    training: TrainingConfig,
    world: World | None,
    *,
    jobs: int | None = None,
) -> list[tuple[GaussianMixture, TrainingRecord] | TrainingError]:
    """Learn several speakers, each from its recordings' frames, as the settings say; an error for what cannot be learned.

    Parameters
    ----------
    speakers : sequence of sequence of ndarray, shape (n_i, d)
    training : TrainingConfig
    world : World, optional
        Needed for adaptation.
    jobs : int, optional
    """
    if training.method == "ml":
        return train_each([np.concatenate(recordings) for recordings in speakers], training, jobs=jobs)
    assert world is not None
    in_rooms = partial(in_a_room, config=world.front_end)
    parts = [Part(part.components, in_rooms if part.rooms else None) for part in world.parts]
    learned = adapt_each(speakers, world.mixture, training, parts=parts, jobs=jobs)
    return [
        result
        if isinstance(result, TrainingError)
        else (result[0], _with_environment(result[1], frames, world.front_end))
        for result, frames in zip(learned, speakers, strict=True)
    ]


def _with_environment(
    record: TrainingRecord, recordings: Sequence[NDArray[Any]], config: FrontEndConfig
) -> TrainingRecord:
    found = environment_of_speaker(recordings, config)
    return record if found is None else replace(record, environment=asdict(found))
