"""Adapted speakers are kept as means alone, and come back to the bit; what somebody else wrote into them is one line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerid.config import FrontEndConfig, TrainingConfig
from speakerid.errors import NotAStoreError
from speakerid.frontend import StaticFeatures
from speakerid.mixtures import GaussianMixture, adapt_each
from speakerid.scoring import Calibration
from speakerid.store import NewRecording, SpeakerUpdate, Store, World
from speakerid.store.rows import adapted_from_blobs, adapted_to_blobs, as_stored, mixture_to_blobs

K, D = 16, 4
FRONT_END = FrontEndConfig(cepstra=D, deltas=0, normalisation="none")
TRAINING = TrainingConfig(method="map", relevance_factor=4.0)
Change = Callable[..., None]


def make_world(seed: int = 0) -> World:
    rng = np.random.default_rng(seed)
    mixture = GaussianMixture(rng.dirichlet(np.full(K, 5.0)), rng.normal(0, 2, (K, D)), rng.uniform(0.3, 1.5, (K, D)))
    return World.from_bytes(World(mixture, FRONT_END).to_bytes(), where="here")


WORLD = make_world()


def an_update(name: str, seed: int, training: TrainingConfig = TRAINING) -> SpeakerUpdate:
    rng = np.random.default_rng(seed)
    added, frames = [], []
    for number in range(3):
        values = (rng.normal(0, 2, (60, D)) + seed / 4).astype(np.float32)
        static = StaticFeatures(values, np.ones(60, dtype=np.bool_)).rounded()
        content_hash = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
        added.append(NewRecording(content_hash, f"{name}-{number}.wav", None, 16000, 0.6, 0.6, static))
        frames.append(static.cepstra)
    (result,) = adapt_each([frames], WORLD.mixture, training)
    assert isinstance(result, tuple)
    record = {"log_likelihoods": result[1].log_likelihoods, "held_out": result[1].held_out,
              "expected_ratio": result[1].expected_ratio}  # fmt: skip
    return SpeakerUpdate(name, frozenset(), tuple(added), result[0], record)


def make_store(path: Path, *names: str, training: TrainingConfig = TRAINING) -> Path:
    updates = [an_update(name, seed, training) for seed, name in enumerate(names, start=1)]
    Store.create(path, FRONT_END, training, WORLD, version="0", updates=updates).close()
    return path


@pytest.fixture
def adapted(tmp_path: Path) -> Path:
    return make_store(tmp_path / "adapted.db", "Ann", "Bob")


def damage(path: Path, change: Change, column: str, value: object) -> None:
    change(
        path,
        f"UPDATE models SET {column} = ? WHERE speaker_id = (SELECT id FROM speakers WHERE name = 'Ann')",
        values=(value,),
    )


def test_only_means_are_in_the_file(adapted: Path, models: Callable[[Path], Any]) -> None:
    for name, (k, d, weights, means, variances) in models(adapted).items():
        assert (k, d, weights, variances) == (K, D, b"", b""), name
        assert means == an_update(name, 1 if name == "Ann" else 2).mixture.means.astype("<f4").tobytes()


def test_all_of_it_is_in_the_file_when_all_is_adapted(tmp_path: Path) -> None:
    everything = TrainingConfig(method="map", relevance_factor=4.0, adapted="all")
    path = make_store(tmp_path / "all.db", "Ann", training=everything)
    asked = an_update("Ann", 1, everything).mixture
    with Store(path) as store:
        mixture, _record = store.model("Ann")
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(mixture, name), getattr(asked, name), rtol=1e-6)
    assert not np.array_equal(mixture.covariances, WORLD.mixture.covariances)


def test_the_file_is_smaller(enrolled: Path, models: Callable[[Path], Any]) -> None:
    for k, d, *blobs in models(enrolled).values():
        assert sum(map(len, blobs)) == 4 * k * d < 4 * (k + 2 * k * d)
    assert len(models(enrolled)) == 10


def test_models_come_back_to_the_bit(adapted: Path) -> None:
    with Store(adapted) as store:
        mixtures = store.mixtures()
        assert store.world is not None
        shared = store.world.mixture
    for seed, name in enumerate(("Ann", "Bob"), start=1):
        asked = as_stored(an_update(name, seed).mixture, WORLD.mixture)
        for attribute in ("weights", "means", "covariances"):
            np.testing.assert_array_equal(getattr(mixtures[name], attribute), getattr(asked, attribute))
        # one array for all speakers, not a copy each
        assert mixtures[name].covariances is shared.covariances
        again = as_stored(asked, WORLD.mixture)
        np.testing.assert_array_equal(again.means, asked.means)


def test_the_record_comes_back(adapted: Path) -> None:
    with Store(adapted) as store:
        records = store.records()
        assert list(records) == ["Ann", "Bob"] == list(store.mixtures())
    for seed, (name, record) in enumerate(records.items(), start=1):
        asked = an_update(name, seed).record
        assert record["held_out"] == list(asked["held_out"])
        assert record["expected_ratio"] == asked["expected_ratio"]
        assert len(record["held_out"]) == 3


def test_stores_of_before_are_read(adapted: Path, change: Change) -> None:
    mixture = as_stored(an_update("Ann", 1).mixture, WORLD.mixture)
    _k, _d, weights, means, variances = mixture_to_blobs(mixture)
    for column, blob in (("weights", weights), ("means", means), ("variances", variances)):
        damage(adapted, change, column, blob)
    change(adapted, "UPDATE models SET record = '{\"log_likelihoods\": [-2.0, -1.5]}'")
    with Store(adapted) as store:
        store.check()
        found = store.mixtures()
        assert [record.get("expected_ratio") for record in store.records().values()] == [None, None]
    np.testing.assert_array_equal(found["Ann"].means, mixture.means)
    np.testing.assert_allclose(found["Ann"].weights, WORLD.mixture.weights, rtol=1e-6)
    np.testing.assert_array_equal(found["Ann"].covariances, WORLD.mixture.covariances)


SIGNALLING = np.full(K * D, 0x7FA00000, dtype="<u4").tobytes()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("means", b""), ("means", b"\0" * (4 * K * D - 1)), ("means", b"\0" * (4 * K * D + 4)),
        ("means", b"\xff" * 4 * K * D), ("means", SIGNALLING), ("means", np.full(K * D, np.inf, "<f4").tobytes()),
        ("means", np.full(K * D, -1e7, "<f4").tobytes()), ("weights", b"\0"), ("variances", b"\0" * 4 * K * D),
        ("weights", b"\0" * 4 * K), ("n_components", 0), ("n_components", K + 1), ("n_components", -1),
        ("n_components", 2**62), ("n_features", D - 1), ("n_features", 0),
    ],
)  # fmt: skip
def test_a_damaged_model_is_one_line(
    adapted: Path, change: Change, run: Callable[..., Any], column: str, value: object, speech_file: Path
) -> None:
    damage(adapted, change, column, value)
    with Store(adapted) as store:
        for read in (store.mixtures, lambda: store.model("Ann"), store.check):
            with pytest.raises(NotAStoreError, match="the model of Ann is damaged") as caught:
                read()
            assert len(str(caught.value).splitlines()) == 1
    for command in (("identify", speech_file), ("verify", "Bob", speech_file)):
        outcome = run(*command, "--db", adapted)
        assert (outcome.status, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)


@pytest.fixture(scope="session")
def speech_file(sample: Path) -> Path:
    return sample / "test" / "aino-1.flac"


@pytest.mark.parametrize(
    "fields",
    [
        {"held_out": 1.0}, {"held_out": None}, {"held_out": ["1"]}, {"held_out": [True]}, {"held_out": [[1.0]]},
        {"held_out": {"a": 1}}, {"held_out": [float("nan")]}, {"held_out": [float("inf")]}, {"held_out": [10**400]},
        {"expected_ratio": "3"}, {"expected_ratio": [3.0]}, {"expected_ratio": float("nan")}, {"expected_ratio": 1e300},
        {"environment": 1.0}, {"environment": {"noise": [1.0], "level": [1.0]}},
        {"environment": {"noise": [1.0], "level": [], "narrow": True}},
        {"environment": {"noise": ["1"], "level": [1.0], "narrow": True}},
        {"expected_ratio": 10**400}, {"expected_ratio": True}, {"log_likelihoods": [10**400]}, {"log_likelihoods": [True]},
    ],
)  # fmt: skip
def test_a_damaged_record_is_one_line(adapted: Path, change: Change, fields: dict[str, object]) -> None:
    damage(adapted, change, "record", json.dumps({"log_likelihoods": [-2.0, -1.5], **fields}))
    with Store(adapted) as store:
        for read in (store.records, lambda: store.model("Ann"), store.check):
            with pytest.raises(NotAStoreError, match="the training record of Ann is damaged") as caught:
                read()
            assert len(str(caught.value).splitlines()) == 1


def test_rows_of_the_wrong_size_are_no_means() -> None:
    blobs = adapted_to_blobs(an_update("Ann", 1).mixture)
    assert adapted_from_blobs(*blobs, world=WORLD.mixture).n_components == K
    for other in (make_small(K, D + 1), make_small(K - 1, D), make_small(D, K)):
        with pytest.raises(ValueError, match="expected means of shape"):
            adapted_from_blobs(*blobs, world=other)


def make_small(k: int, d: int) -> GaussianMixture:
    return GaussianMixture(np.full(k, 1 / k), np.zeros((k, d)), np.ones((k, d)))


def test_export_and_import_keep_model_and_record(
    tmp_path: Path, adapted: Path, run: Callable[..., Any], models: Callable[[Path], Any]
) -> None:
    with Store(adapted) as store:
        records = store.records()
    other = tmp_path / "other.db"
    assert run("speakers", "export", "Ann", "Bob", "--output", other, "--db", adapted).status == 0
    assert models(other) == models(adapted)
    with Store(other) as store:
        assert store.records() == records
    assert run("speakers", "remove", "Ann", "--db", adapted).status == 0
    assert run("speakers", "import", other, "Ann", "--db", adapted).status == 0
    assert models(other) == models(adapted)
    with Store(adapted) as store:
        assert store.records() == records


# the calibration of the store's own

CALIBRATION = Calibration((0.5,) * 13, (1.0, 0.0, 0.0, -2.0), ((0.5, -1.0), (0.1, 2.0)), ((0.5, 0.0),), {"seed": 1})


def test_a_calibration_is_kept_and_forgotten(adapted: Path) -> None:
    with Store(adapted) as store:
        assert store.calibration is None
        store.write_calibration(CALIBRATION)
        assert store.calibration == CALIBRATION
    with Store(adapted) as store, Store(adapted) as other:
        assert store.calibration == CALIBRATION
        assert store.calibration.about == {"seed": 1}
        other.write_calibration(None)
        # what is in the file counts, not what was there when it was opened
        assert store.calibration is None


@pytest.mark.parametrize("text", ["", "null", "{}", "[" * 100_000, '{"format": 1}', "\udcff", "NaN", "1" * 5000])
def test_a_damaged_calibration_is_one_line_and_can_be_forgotten(adapted: Path, change: Change, text: str) -> None:
    value = text.encode("utf-8", "surrogateescape")
    change(adapted, "INSERT INTO settings (name, value) VALUES ('calibration', CAST(? AS TEXT))", values=(value,))
    with Store(adapted) as store:
        for read in (lambda: store.calibration, store.check):
            with pytest.raises(NotAStoreError, match="calibration is damaged") as caught:
                read()
            assert len(str(caught.value).splitlines()) == 1
            assert "speakerid calibrate" in str(caught.value)
        assert store.names() == ["Ann", "Bob"]
        store.write_calibration(None)
        assert store.calibration is None
        store.check()
