"""A store small enough to see through: two cepstra, no derivatives, models of two components made by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from speakerid.config import FrontEndConfig, TrainingConfig
from speakerid.frontend import StaticFeatures
from speakerid.mixtures import GaussianMixture
from speakerid.store import NewRecording, SpeakerUpdate, Store

FRONT_END = FrontEndConfig(cepstra=2, deltas=0)
TRAINING = TrainingConfig(components=2)


def make_recording(seed: int, n_frames: int = 11) -> NewRecording:
    generator = np.random.default_rng(seed)
    static = StaticFeatures(
        generator.standard_normal((n_frames, 2)).astype(np.float32), generator.random(n_frames) < 0.7
    ).rounded()
    content_hash = hashlib.sha256(str(seed).encode()).hexdigest()
    return NewRecording(
        content_hash, f"recording-{seed}.wav", None, 16000, n_frames / 100, static.n_speech / 100, static
    )


def make_mixture(seed: int) -> GaussianMixture:
    generator = np.random.default_rng(seed)
    # values that float32 holds exactly, so that what comes back is equal
    means = generator.standard_normal((2, 2)).astype(np.float32)
    return GaussianMixture([0.25, 0.75], means, np.array([[1.0, 2.0], [0.5, 0.25]]))


@pytest.fixture(scope="session")
def recording() -> Callable[..., NewRecording]:
    """A recording that is different for every number."""
    return make_recording


@pytest.fixture(scope="session")
def update() -> Callable[..., SpeakerUpdate]:
    """An update that adds recordings, by their numbers, to those expected."""

    def make(
        name: str, *seeds: int, expected: tuple[int, ...] = (), replace: bool = False, model: int = 1
    ) -> SpeakerUpdate:
        hashes = frozenset(make_recording(seed).content_hash for seed in expected)
        added = tuple(map(make_recording, seeds))
        return SpeakerUpdate(name, hashes, added, make_mixture(model), {"log_likelihoods": [-2.0, -1.5]}, replace)

    return make


@pytest.fixture(scope="session")
def new_store() -> Callable[[Path], Store]:
    return lambda path: Store.create(path, FRONT_END, TRAINING, version="0")


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path], Store]) -> Iterator[Store]:
    """An empty, open store."""
    with new_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def filled(tmp_path: Path, new_store: Callable[[Path], Store], update: Callable[..., SpeakerUpdate]) -> Path:
    """A closed store with Ann (recordings 1, 2) and Bob (3)."""
    path = tmp_path / "filled.db"
    with new_store(path) as opened:
        opened.write([update("Ann", 1, 2, model=1), update("Bob", 3, model=2)])
    return path
