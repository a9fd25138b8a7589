"""The store's own copy of its world model."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speakerid.config import FrontEndConfig, TrainingConfig, to_dict
from speakerid.errors import NotAStoreError, StoreMismatchError
from speakerid.mixtures import GaussianMixture
from speakerid.store import SpeakerUpdate, Store, World, export_speakers
from speakerid.store.rows import mixture_to_blobs

FRONT_END = FrontEndConfig(cepstra=2, deltas=0)
MAP = TrainingConfig(method="map")
ML = TrainingConfig(components=2)
Update = Callable[..., SpeakerUpdate]
Change = Callable[..., None]


def make_world(seed: int = 1, front_end: FrontEndConfig = FRONT_END) -> World:
    generator = np.random.default_rng(seed)
    # three weights that sum to 1 only when they are scaled: see test_world_file.py
    mixture = GaussianMixture(
        generator.dirichlet(np.ones(3)), generator.normal(0, 2, (3, 2)), generator.uniform(0.5, 2, (3, 2))
    )
    return World(mixture, front_end, {"licence": "Zoë's"})


def moved(seed: int, world: World) -> GaussianMixture:
    """The world's mixture with other means, which float32 holds exactly."""
    means = np.random.default_rng(seed).normal(0, 2, world.mixture.means.shape).astype(np.float32)
    return GaussianMixture(world.mixture.weights, means, world.mixture.covariances)


@pytest.fixture
def adapted_update(update: Update) -> Update:
    """An update whose model is the world's with other means."""

    def make(name: str, *seeds: int, world: World | None = None) -> SpeakerUpdate:
        return dataclasses.replace(update(name, *seeds), mixture=moved(seeds[0], world or make_world()))

    return make


@pytest.fixture
def adapted(tmp_path: Path, adapted_update: Update) -> Path:
    """A closed store with a world model, Ann (recordings 1, 2) and Bob (3)."""
    path = tmp_path / "adapted.db"
    updates = [adapted_update("Ann", 1, 2), adapted_update("Bob", 3)]
    Store.create(path, FRONT_END, MAP, make_world(), version="0", updates=updates).close()
    return path


def row(path: Path) -> bytes | None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT value FROM settings WHERE name = 'world'").fetchall()
    return base64.b64decode(rows[0][0]) if rows else None


def test_the_copy_is_the_file(adapted: Path) -> None:
    assert row(adapted) == make_world().to_bytes()
    with Store(adapted) as store:
        assert store.world is not None
        assert store.world.to_bytes() == make_world().to_bytes()
        assert store.world.about == {"licence": "Zoë's"}
        store.require_world(make_world(), whose="here")
        store.check()


def test_copies_of_copies_are_the_same(tmp_path: Path) -> None:
    for seed in range(40):
        path = tmp_path / f"{seed}.db"
        world = make_world(seed)
        Store.create(path, FRONT_END, MAP, world, version="0").close()
        with Store(path) as store:
            export_speakers(store, [], tmp_path / f"{seed}-copy.db", version="0")
            store.require_world(world, whose="the file")
        assert row(tmp_path / f"{seed}-copy.db") == row(path) == world.to_bytes()


def test_a_store_without_one(filled: Path) -> None:
    assert row(filled) is None
    with Store(filled) as store:
        assert store.world is None
        store.require_world(None, whose="here")
        with pytest.raises(StoreMismatchError, match=r"filled\.db has no world model, unlike the settings"):
            store.require_world(make_world(), whose="the settings")


def test_another_world_or_none_is_refused(adapted: Path) -> None:
    with Store(adapted) as store:
        with pytest.raises(StoreMismatchError, match="was made with another world model"):
            store.require_world(make_world(2), whose="here")
        with pytest.raises(StoreMismatchError, match="has a world model, unlike"):
            store.require_world(None, whose="here")


def test_a_store_by_likelihood_may_have_one(tmp_path: Path, update: Update) -> None:
    path = tmp_path / "s.db"
    Store.create(path, FRONT_END, ML, make_world(), version="0", updates=[update("Ann", 1)]).close()
    with Store(path) as store:
        assert store.world is not None
        assert store.world.digest == make_world().digest


def test_weights_and_variances_of_adapted_speakers_are_the_worlds(
    adapted: Path, models: Callable[[Path], dict[str, tuple[int, int, bytes, bytes, bytes]]]
) -> None:
    world = make_world().mixture
    with Store(adapted) as store:
        assert store.world is not None
        for name, seed in (("Ann", 1), ("Bob", 3)):
            mixture, _record = store.model(name)
            np.testing.assert_array_equal(mixture.means, moved(seed, make_world()).means)
            np.testing.assert_array_equal(mixture.weights, store.world.mixture.weights)
            np.testing.assert_array_equal(mixture.covariances, store.world.mixture.covariances)
            np.testing.assert_allclose(mixture.covariances, world.covariances, rtol=1e-6)
            assert models(adapted)[name] == (3, 2, b"", mixture.means.astype("<f4").tobytes(), b"")


@pytest.mark.parametrize("method", ["means_variances", "all"])
def test_what_is_adapted_more_widely_is_kept_whole(
    tmp_path: Path,
    update: Update,
    models: Callable[[Path], dict[str, tuple[int, int, bytes, bytes, bytes]]],
    method: str,
) -> None:
    path, training = tmp_path / "whole.db", dataclasses.replace(MAP, adapted=method)
    one = update("Ann", 1, 2)
    Store.create(path, FRONT_END, training, make_world(), version="0", updates=[one]).close()
    assert all(models(path)["Ann"][2:])
    with Store(path) as store:
        np.testing.assert_array_equal(store.model("Ann")[0].covariances, one.mixture.covariances)


# stores of before


def test_a_store_that_kept_weights_and_variances_with_every_speaker(adapted: Path, change: Change) -> None:
    k, d, *blobs = mixture_to_blobs(mixture := moved(1, make_world()))
    assert all(blobs)
    change(
        adapted,
        "UPDATE models SET n_components = ?, n_features = ?, weights = ?, means = ?, variances = ?"
        " WHERE speaker_id = (SELECT id FROM speakers WHERE name = 'Ann')",
        values=(k, d, *blobs),
    )
    with Store(adapted) as store:
        back = store.model("Ann")[0]
        np.testing.assert_array_equal(back.means, mixture.means)
        np.testing.assert_allclose(back.covariances, mixture.covariances, rtol=1e-6)
        store.check()


def test_a_store_that_has_never_heard_of_adaptation(filled: Path, change: Change, update: Update) -> None:
    """Its settings lack the keys that came with it."""
    old = to_dict(ML)
    for key in ("method", "relevance_factor", "adapted"):
        del old[key]
    change(filled, "UPDATE settings SET value = ? WHERE name = 'training'", values=(json.dumps(old),))
    with Store(filled) as store:
        assert (store.training, store.world) == (ML, None)
        store.require(FRONT_END, ML, whose="the defaults")
        store.write([update("Cat", 7)])
        assert store.names() == ["Ann", "Bob", "Cat"]
        with pytest.raises(StoreMismatchError, match='method: "ml" against "map"'):
            store.require(FRONT_END, MAP, whose="other settings")


# damage


def test_a_world_that_is_missing(adapted: Path, change: Change) -> None:
    change(adapted, "DELETE FROM settings WHERE name = 'world'")
    with pytest.raises(NotAStoreError) as caught:
        Store(adapted)
    assert str(caught.value) == f"{adapted}: the store's world model is missing; the store is damaged"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ä",
        "not base64!",
        base64.b64encode(b"no world").decode(),
        base64.b64encode(make_world().to_bytes()[:-1]).decode(),
        base64.b64encode(make_world().to_bytes() + b"\0").decode(),
        base64.b64encode(make_world().to_bytes()).decode() + "\n",
    ],
)
def test_a_world_that_is_damaged(adapted: Path, change: Change, text: str) -> None:
    change(adapted, "UPDATE settings SET value = ? WHERE name = 'world'", values=(text,))
    with pytest.raises(NotAStoreError, match="the store's world model is damaged") as caught:
        Store(adapted)
    assert str(caught.value).startswith(f"{adapted}: ")
    assert "\n" not in str(caught.value)


def test_flipped_bits_in_the_world(adapted: Path, change: Change) -> None:
    whole = make_world().to_bytes()
    for position in range(0, len(whole), 37):
        data = bytearray(whole)
        data[position] ^= 0x10
        text = base64.b64encode(data).decode()
        change(adapted, "UPDATE settings SET value = ? WHERE name = 'world'", values=(text,))
        with pytest.raises(NotAStoreError, match="the store's world model is damaged"):
            Store(adapted)


def test_a_world_of_other_features(adapted: Path, change: Change) -> None:
    other = make_world(front_end=FrontEndConfig(cepstra=2, deltas=0, mel_bands=30))
    text = base64.b64encode(other.to_bytes()).decode()
    change(adapted, "UPDATE settings SET value = ? WHERE name = 'world'", values=(text,))
    with pytest.raises(NotAStoreError, match="the store's world model is of other features; the store is damaged"):
        Store(adapted)


@pytest.mark.parametrize(
    "damage",
    [
        "means = x''",
        "means = substr(means, 1, 20)",
        "means = CAST(means || x'00000000' AS BLOB)",
        "means = CAST(x'0000C07F' || substr(means, 5) AS BLOB)",
        "means = CAST(x'0000807F' || substr(means, 5) AS BLOB)",
        "means = CAST(x'CAF24973' || substr(means, 5) AS BLOB)",
        "weights = x'0000803F'",
        "n_components = 2",
        "n_features = 3",
    ],
)
def test_adapted_means_that_are_damaged(adapted: Path, change: Change, damage: str) -> None:
    change(adapted, f"UPDATE models SET {damage} WHERE speaker_id = (SELECT id FROM speakers WHERE name = 'Ann')")
    with Store(adapted) as store:
        with pytest.raises(NotAStoreError, match=r"adapted\.db: the model of Ann is damaged: .*enrol again"):
            store.mixtures()
        with pytest.raises(NotAStoreError, match="the model of Ann is damaged"):
            store.check()
        assert store.model("Bob")


# copies


def test_an_export_keeps_it(adapted: Path, tmp_path: Path, models: Callable[[Path], object]) -> None:
    with Store(adapted) as store:
        export_speakers(store, ["Ann", "Bob"], tmp_path / "copy.db", version="0")
    assert row(tmp_path / "copy.db") == row(adapted)
    assert models(tmp_path / "copy.db") == models(adapted)


def test_copies_need_the_same_world(adapted: Path, tmp_path: Path, adapted_update: Update) -> None:
    for name, world, message in (
        ("same", make_world(), None),
        ("other", make_world(2), r"was made with another world model than .*adapted\.db"),
    ):
        path = tmp_path / f"{name}.db"
        Store.create(path, FRONT_END, MAP, world, version="0", updates=[adapted_update("Cat", 7, world=world)]).close()
        before = path.read_bytes()
        with Store(adapted) as source, Store(path) as target:
            if message is None:
                target.copy_from(source, ["Ann"])
                assert target.names() == ["Ann", "Cat"]
            else:
                with pytest.raises(StoreMismatchError, match=message):
                    target.copy_from(source, ["Ann"])
                assert path.read_bytes() == before


def test_a_copy_between_with_and_without_is_refused(tmp_path: Path, filled: Path, update: Update) -> None:
    path = tmp_path / "with.db"
    Store.create(path, FRONT_END, ML, make_world(), version="0", updates=[update("Cat", 7)]).close()
    with Store(filled) as without, Store(path) as having:
        with pytest.raises(StoreMismatchError, match=r"with\.db has a world model, unlike"):
            having.copy_from(without, ["Ann"])
        with pytest.raises(StoreMismatchError, match=r"filled\.db has no world model"):
            without.copy_from(having, ["Cat"])


def test_every_other_change_leaves_it_alone(adapted: Path, adapted_update: Update, tmp_path: Path) -> None:
    shutil.copyfile(adapted, tmp_path / "before.db")
    with Store(adapted) as store:
        store.write([adapted_update("Cat", 7)])
        store.rename("Ann", "Anna")
        store.remove(["Bob"])
    assert row(adapted) == row(tmp_path / "before.db")
