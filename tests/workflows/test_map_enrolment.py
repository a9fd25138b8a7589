"""Speakers adapted from a world model: the same however their recordings come, with the store's own copy of the world."""

from __future__ import annotations

import base64
import contextlib
import csv
import dataclasses
import json
import math
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerid.audio import Recording
from speakerid.config import Config, FrontEndConfig, TrainingConfig, WorldConfig, load_config
from speakerid.errors import StoreMismatchError, UsageError, WorldError
from speakerid.frontend import finish
from speakerid.frontend.reverberation import in_a_room
from speakerid.mixtures import GaussianMixture, accumulate, maximum_a_posteriori_update
from speakerid.store import World, WorldPart, read_world, write_world
from speakerid.workflows.analysis import analyse, analyse_for_training
from speakerid.workflows.enroll import enroll_recordings
from speakerid.workflows.identify import Identifier
from speakerid.workflows.learning import learn_each, world_of

Run = Callable[..., Any]
Models = Callable[[Path], dict[str, tuple[Any, ...]]]


@pytest.fixture(scope="module")
def world_path(tmp_path_factory: pytest.TempPathFactory, run: Run, sample: Path) -> Path:
    """Sixteen components of all the sample voices."""
    path = tmp_path_factory.mktemp("world") / "w.gmm"
    outcome = run("world", "train", sample / "enroll", "--components", 16, "--output", path, "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    return path


def write_settings(folder: Path, world: Path | None, *lines: str, method: str = "map") -> Path:
    file = f'\n[world]\nfile = "{world.name if world else ""}"\n'
    path = folder / "settings.toml"
    path.write_text("\n".join(["[training]", f'method = "{method}"', *lines]) + file, encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path: Path, world_path: Path) -> Path:
    """A config file with the world model beside it."""
    shutil.copyfile(world_path, tmp_path / "w.gmm")
    return write_settings(tmp_path, tmp_path / "w.gmm")


@pytest.fixture
def adapted(tmp_path: Path, settings: Path, run: Run, small: Path) -> Path:
    """Three voices, and the config and world model that they were enrolled with are gone."""
    path = tmp_path / "adapted.db"
    outcome = run("enroll", small, "--db", path, "--config", settings, "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    settings.unlink()
    (tmp_path / "w.gmm").unlink()
    return path


def stored_world(db: Path) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Weights, means and variances of the world model in a store, by the description of the file."""
    with contextlib.closing(sqlite3.connect(db)) as connection:
        (text,) = connection.execute("SELECT value FROM settings WHERE name = 'world'").fetchone()
    data = base64.b64decode(text)
    (length,) = struct.unpack("<I", data[8:12])
    header = json.loads(data[12 : 12 + length])
    return arrays(header["components"], header["features"], data[12 + length : -32])


def adapted_arrays(db: Path, k: int, d: int, blobs: list[bytes]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A speaker's: the row has means only, weights and variances are those of the store's world model."""
    weights, means, variances = stored_world(db)
    assert (blobs[0], blobs[2]) == (b"", b"")
    assert means.shape == (k, d)
    return weights, np.frombuffer(blobs[1], "<f4").astype(np.float64).reshape(k, d), variances


def arrays(k: int, d: int, data: bytes) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    values = np.frombuffer(data, "<f4").astype(np.float64)
    return values[:k], values[k : k + k * d].reshape(k, d), values[k + k * d :].reshape(k, d)


def mean_log_likelihood(mixture: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], frames: NDArray[np.float32]) -> float:
    """Straight from the formula."""
    weights, means, variances = mixture
    weights = weights / weights.sum()
    total = 0.0
    for x in frames.astype(np.float64):
        logs = np.log(weights) - 0.5 * (np.log(2 * math.pi * variances) + (x - means) ** 2 / variances).sum(axis=1)
        total += logs.max() + math.log(np.exp(logs - logs.max()).sum())
    return total / len(frames)


# models


def test_a_model_is_the_update_of_its_frames(adapted: Path, small: Path, world_path: Path, models: Models) -> None:
    world = read_world(world_path).mixture
    front_end = FrontEndConfig()
    total = None
    for path in small.glob("Tom/*.flac"):
        analysis = analyse_for_training(Recording(str(path)), front_end, channel=None, minimum_seconds=0.1)
        statistics = accumulate(world, finish(analysis.static, front_end).speech_values)  # type: ignore[union-attr]
        total = statistics if total is None else total + statistics
    assert total is not None
    expected = maximum_a_posteriori_update(world, total, 4.0)
    k, d, *blobs = models(adapted)["Tom"]
    _weights, means, _variances = adapted_arrays(adapted, k, d, blobs)
    np.testing.assert_allclose(means, expected.means, rtol=1e-4, atol=1e-4)
    world_means = stored_world(adapted)[1]
    assert np.abs(means - world_means).max() > 1


@pytest.fixture(scope="module")
def joined_path(tmp_path_factory: pytest.TempPathFactory, run: Run, sample: Path, world_path: Path) -> Path:
    """The sixteen components, and eight that have heard all the sample voices in rooms as well."""
    folder = tmp_path_factory.mktemp("joined")
    rooms = ("world", "train", sample / "enroll", "--components", 8, "--degrade", "reverb", "-o", folder / "r.gmm")
    assert run(*rooms, "--quiet").status == 0
    outcome = run("world", "join", world_path, folder / "r.gmm", "--output", folder / "w.gmm")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{folder / 'w.gmm'}: 24 components in 2 parts: 16 + 8 in rooms\n"
    return folder / "w.gmm"


def test_parts_in_rooms_learn_from_a_copy_in_a_room(joined_path: Path, world_path: Path, small: Path) -> None:
    joined, quiet, rooms = (read_world(path) for path in (joined_path, world_path, joined_path.parent / "r.gmm"))
    assert joined.parts == (WorldPart(16), WorldPart(8, rooms=True))
    front_end, training = joined.front_end, Config().training
    frames = []
    for path in sorted(small.glob("Tom/*.flac")):
        analysis = analyse_for_training(Recording(str(path)), front_end, channel=None, minimum_seconds=0.1)
        frames.append(finish(analysis.static, front_end).speech_values)  # type: ignore[union-attr]
    copies = [in_a_room(each, front_end) for each in frames]
    ((mixture, _record),) = learn_each([frames], training, joined)  # type: ignore[misc]
    ((first, _first),) = learn_each([frames], training, quiet)  # type: ignore[misc]
    ((second, _second),) = learn_each([[*frames, *copies]], training, rooms)  # type: ignore[misc]
    np.testing.assert_allclose(mixture.means[:16], first.means, rtol=0, atol=1e-3)
    np.testing.assert_allclose(mixture.means[16:], second.means, rtol=0, atol=1e-3)


@pytest.mark.parametrize("lines", [(), ('adapted = "all"', "relevance_factor = 16")], ids=["means", "all"])
def test_with_rooms_too_later_is_the_same_as_all_at_once(
    lines: tuple[str, ...], tmp_path: Path, joined_path: Path, run: Run, small: Path, models: Models
) -> None:
    shutil.copyfile(joined_path, tmp_path / "w.gmm")
    settings = write_settings(tmp_path, tmp_path / "w.gmm", *lines)
    once, later = tmp_path / "once.db", tmp_path / "later.db"
    assert run("enroll", small, "--db", once, "--config", settings).status == 0
    for path in sorted(small.glob("*/*.flac"), reverse=True):
        outcome = run("enroll", path, "--speaker", path.parent.name, "--db", later, "--config", settings, "--jobs", 1)
        assert outcome.status == 0
    assert models(later) == models(once)
    assert {blobs[0] for blobs in models(once).values()} == {24}


@pytest.mark.parametrize("lines", [(), ('adapted = "all"', "relevance_factor = 16")], ids=["means", "all"])
def test_later_is_the_same_as_all_at_once(
    lines: tuple[str, ...], tmp_path: Path, world_path: Path, run: Run, small: Path, models: Models
) -> None:
    shutil.copyfile(world_path, tmp_path / "w.gmm")
    settings = write_settings(tmp_path, tmp_path / "w.gmm", *lines)
    assert run("enroll", small, "--db", tmp_path / "once.db", "--config", settings).status == 0
    once = models(tmp_path / "once.db")
    assert {blobs[0] for blobs in once.values()} == {16}
    later = tmp_path / "later.db"
    first, *others = sorted(small.glob("Tom/*.flac"), reverse=True)
    assert run("enroll", first, "--speaker", "Tom", "--db", later, "--config", settings).status == 0
    assert models(later)["Tom"] != once["Tom"]
    settings.unlink()
    (tmp_path / "w.gmm").unlink()
    for path in others:
        outcome = run("enroll", path, "--speaker", "Tom", "--db", later, "--format", "json", "--quiet")
        assert (outcome.status, outcome.err) == (0, "")
    for name in ("Mary Ann", "Alice"):
        for path in small.glob(f"{name}/*.flac"):
            assert run("enroll", path, "--speaker", name, "--db", later, "--jobs", 1).status == 0
    assert models(later) == once


def test_what_is_adapted_is_what_was_asked_for(
    tmp_path: Path, world_path: Path, run: Run, small: Path, models: Models
) -> None:
    shutil.copyfile(world_path, tmp_path / "w.gmm")
    found = {}
    for what in ("means", "means_variances", "all"):
        settings = write_settings(tmp_path, tmp_path / "w.gmm", f'adapted = "{what}"')
        db = tmp_path / f"{what}.db"
        assert run("enroll", small / "Tom", "--speaker", "Tom", "--db", db, "--config", settings).status == 0
        k, d, *blobs = models(db)["Tom"]
        found[what] = adapted_arrays(db, k, d, blobs) if what == "means" else arrays(k, d, b"".join(blobs))
    means, wider = found["means"], found["means_variances"]
    np.testing.assert_allclose(wider[0], means[0], rtol=2e-7)
    np.testing.assert_array_equal(wider[1], means[1])
    assert np.abs(wider[2] / means[2] - 1).max() > 0.1
    found = {what: tuple(part.tobytes() for part in parts) for what, parts in found.items()}
    assert [a == b for a, b in zip(found["means_variances"], found["all"], strict=True)] == [False, True, True]


# asking


def test_known_voices_are_known_and_strangers_score_less(
    adapted: Path, run: Run, sample: Path, stranger_files: list[str]
) -> None:
    own = sorted(str(p) for name in ("alice", "mary", "tom") for p in (sample / "test").glob(f"{name}*.flac"))
    assert len(own) >= 3
    known = run("identify", *own, "--db", adapted, "--format", "json").json
    strangers = run("identify", *stranger_files, "--db", adapted, "--format", "json").json
    assert all(line["decision"].lower().startswith(Path(line["path"]).name[:3]) for line in known)
    for kind in ("ratio", "llr", "probability"):
        assert min(line["scores"][0][kind] for line in known) > max(line["scores"][0][kind] for line in strangers)


def test_the_ratio_is_what_the_stores_arrays_say(
    adapted: Path, run: Run, known_files: list[str], models: Models
) -> None:
    outcome = run("identify", *known_files[:3], "--db", adapted, "--format", "json")
    assert (outcome.status, outcome.err) == (0, "")
    world = stored_world(adapted)
    for line in outcome.json:
        static = analyse(Recording(line["path"]), FrontEndConfig()).static
        frames = finish(static, FrontEndConfig()).speech_values
        of_world = mean_log_likelihood(world, frames)
        assert len(line["scores"]) == 3
        for score in line["scores"]:
            k, d, *blobs = models(adapted)[score["speaker"]]
            own = mean_log_likelihood(adapted_arrays(adapted, k, d, blobs), frames)
            assert score["log_likelihood"] == pytest.approx(own, abs=1e-4)
            assert score["ratio"] == pytest.approx(own - of_world, abs=1e-4)


def test_a_world_without_adaptation_gives_ratios_and_the_same_models(
    tmp_path: Path, world_path: Path, run: Run, small: Path, known_files: list[str], models: Models, enrolled_ml: Path
) -> None:
    shutil.copyfile(world_path, tmp_path / "w.gmm")
    settings = write_settings(tmp_path, tmp_path / "w.gmm", method="ml")
    assert run("enroll", small, "--db", tmp_path / "s.db", "--config", settings).status == 0
    assert models(tmp_path / "s.db") == {name: models(enrolled_ml)[name] for name in ("Alice", "Mary Ann", "Tom")}
    (line,) = run("identify", known_files[0], "--db", tmp_path / "s.db", "--format", "json").json
    assert all(isinstance(score["ratio"], float) for score in line["scores"])
    # what comes with the program is calibrated for adapted speakers
    assert {(score["llr"], score["probability"]) for score in line["scores"]} == {(None, None)}
    (line,) = run("identify", known_files[0], "--db", enrolled_ml, "--format", "json").json
    assert {(score["ratio"], score["llr"]) for score in line["scores"]} == {(None, None)}


# whose world it is


def test_the_same_settings_are_accepted_again(
    tmp_path: Path, adapted: Path, world_path: Path, run: Run, small: Path, known_files: list[str]
) -> None:
    shutil.copyfile(world_path, tmp_path / "renamed.gmm")
    settings = write_settings(tmp_path, tmp_path / "renamed.gmm")
    for command in (
        ("identify", known_files[0]), ("enroll", small), ("speakers", "list"), ("speakers", "show", "Tom"),
    ):  # fmt: skip
        assert run(*command, "--db", adapted, "--config", settings).status == 0


def commands(small: Path, known_files: list[str]) -> list[tuple[object, ...]]:
    return [("identify", known_files[0]), ("enroll", small), ("speakers", "list"), ("speakers", "remove", "Tom")]


def test_another_world_is_one_line(
    tmp_path: Path, adapted: Path, world_path: Path, run: Run, small: Path, known_files: list[str],
    digest: Callable[[Path], str],
) -> None:  # fmt: skip
    old = read_world(world_path)
    moved = GaussianMixture(old.mixture.weights, old.mixture.means + 0.5, old.mixture.covariances)
    write_world(tmp_path / "other.gmm", World(moved, old.front_end))
    settings = write_settings(tmp_path, tmp_path / "other.gmm")
    before = digest(adapted)
    for command in commands(small, known_files):
        outcome = run(*command, "--db", adapted, "--config", settings)
        assert (outcome.status, outcome.out) == (2, "")
        (line,) = outcome.err.splitlines()
        assert "adapted.db was made with another world model" in line
    assert digest(adapted) == before


def test_no_world_is_one_line(
    tmp_path: Path, adapted: Path, run: Run, small: Path, known_files: list[str], world_path: Path
) -> None:
    without = write_settings(tmp_path, None)
    for command in commands(small, known_files):
        for db in (adapted, tmp_path / "new.db"):
            outcome = run(*command, "--db", db, "--config", without)
            assert outcome.status == 2
            (line,) = outcome.err.splitlines()
            if db == adapted or command[0] == "enroll":
                assert "adapts a world model, and [world] file names none: train one with speakerid world train" in line
    assert not (tmp_path / "new.db").exists()
    # a store by likelihood with a world model, and settings by likelihood without one
    shutil.copyfile(world_path, tmp_path / "w.gmm")
    by_likelihood = write_settings(tmp_path, tmp_path / "w.gmm", method="ml")
    assert run("enroll", small, "--db", tmp_path / "ml.db", "--config", by_likelihood).status == 0
    by_likelihood = write_settings(tmp_path, None, method="ml")
    outcome = run("identify", known_files[0], "--db", tmp_path / "ml.db", "--config", by_likelihood)
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert "ml.db has a world model, unlike the settings" in line


@pytest.mark.parametrize("content", [None, b"", b"a letter", b"SPKWORLD" + bytes(100)])
def test_a_world_that_cannot_be_read_is_one_line(
    content: bytes | None, tmp_path: Path, run: Run, small: Path, adapted: Path
) -> None:
    if content is not None:
        (tmp_path / "bad.gmm").write_bytes(content)
    settings = write_settings(tmp_path, tmp_path / "bad.gmm")
    for db in (adapted, tmp_path / "new.db"):
        outcome = run("enroll", small, "--db", db, "--config", settings)
        assert (outcome.status, outcome.out) == (2, "")
        (line,) = outcome.err.splitlines()
        assert "bad.gmm: " in line
        assert "world model" in line
    assert not (tmp_path / "new.db").exists()


def test_a_world_of_other_features(tmp_path: Path, settings: Path, run: Run, small: Path) -> None:
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f"[front_end]\nmel_bands = 30\ncepstra = 13\n{text}", encoding="utf-8")
    outcome = run("enroll", small, "--db", tmp_path / "new.db", "--config", settings)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert "the world model is of other features: mel_bands: 36 against 30; cepstra: 20 against 13" in line


def test_the_worlds_file_is_beside_the_settings(settings: Path, tmp_path: Path) -> None:
    config = load_config(settings)
    assert config.world.file == str(tmp_path / "w.gmm")
    world = world_of(config)
    assert world is not None
    assert world.digest == read_world(tmp_path / "w.gmm").digest
    none = WorldConfig(file="")
    assert world_of(Config(training=TrainingConfig(method="ml"), world=none)) is None
    with pytest.raises(UsageError, match="names none"):
        world_of(Config(training=TrainingConfig(method="map"), world=none))
    with pytest.raises(WorldError):
        world_of(Config(world=WorldConfig(file=str(tmp_path / "missing.gmm"))))


def test_learning_is_by_the_settings(world_path: Path) -> None:
    frames = np.random.default_rng(1).normal(0, 3, (500, 40)).astype(np.float32)
    world = read_world(world_path)
    (by_em,) = learn_each([[frames]], TrainingConfig(components=3), world)
    (by_map,) = learn_each([[frames]], TrainingConfig(method="map"), world)
    assert isinstance(by_em, tuple)
    assert isinstance(by_map, tuple)
    assert (by_em[0].n_components, by_map[0].n_components) == (3, 16)
    # recordings are the same as their frames at once
    parts = np.split(frames, [100, 350])
    (em_of_parts,) = learn_each([parts], TrainingConfig(components=3), world)
    (map_of_parts,) = learn_each([parts], TrainingConfig(method="map"), world)
    assert isinstance(em_of_parts, tuple)
    assert isinstance(map_of_parts, tuple)
    assert em_of_parts[0] == by_em[0]
    np.testing.assert_allclose(map_of_parts[0].means, by_map[0].means, rtol=0, atol=1e-5)
    assert len(map_of_parts[1].held_out) == 3


def test_the_library_does_the_same(
    tmp_path: Path, world_path: Path, small: Path, adapted: Path, models: Models
) -> None:
    config = Config(training=TrainingConfig(method="map"), world=WorldConfig(file=str(world_path)))
    recordings = [(path.parent.name, Recording(str(path))) for path in small.glob("*/*.flac")]
    enroll_recordings(tmp_path / "s.db", recordings, config=config, jobs=2)
    assert models(tmp_path / "s.db") == models(adapted)
    with pytest.raises(StoreMismatchError, match='method: "map" against "ml"'):
        Identifier.open(tmp_path / "s.db", config=dataclasses.replace(config, training=TrainingConfig(method="ml")))
    with pytest.raises(StoreMismatchError, match="was made with another world model"):
        Identifier.open(tmp_path / "s.db", config=Config())
    with pytest.raises(StoreMismatchError, match='method: "map" against "ml"; components: 16 against 4'):
        enroll_recordings(tmp_path / "s.db", recordings, components=4)
    asked = dataclasses.replace(config, training=TrainingConfig(method="map", relevance_factor=8))
    with pytest.raises(UsageError, match="--components is for training by EM"):
        enroll_recordings(tmp_path / "new.db", recordings, config=asked, components=4)
    assert not (tmp_path / "new.db").exists()


# real speech


@pytest.mark.corpora
def test_strangers_are_told_from_speakers_on_real_speech(corpora: Path, run: Run, tmp_path: Path) -> None:
    world = run("world", "train", corpora / "protocols" / "world.csv", "--components", 64, "-o", tmp_path / "w.gmm")
    assert world.status == 0
    settings = write_settings(tmp_path, tmp_path / "w.gmm")
    protocol = corpora / "protocols" / "librispeech-10-open.csv"
    with protocol.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    n_strangers = sum(row["speaker"] == "unknown" for row in rows)
    outcome = run("evaluate", protocol, "--config", settings, "--json", tmp_path / "r.json", "--no-cache", "--quiet")
    assert outcome.status == 0, outcome.err
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (result["n_known"], result["n_strangers"]) == (len(rows) - n_strangers, n_strangers) == (60, 126)
    assert result["top1"] == 1.0
    assert result["open_set"]["eer"] <= 0.05


# scoring


def test_speakers_are_scored_by_the_components_that_matter(
    settings: Path, small: Path, run: Run, tmp_path: Path
) -> None:
    store = tmp_path / "s.db"
    assert run("enroll", small, "--db", store, "--config", settings, "--quiet").status == 0
    question = str(next(small.glob("Tom/*.flac")))

    def scores(top: int) -> dict[str, float]:
        config = load_config(settings)
        config = dataclasses.replace(config, world=dataclasses.replace(config.world, top_components=top))
        answer = Identifier.open(store, config=config).identify(question)
        return {score.speaker: score.ratio or 0.0 for score in answer.scores}

    everything, ten, one = scores(16), scores(10), scores(1)
    assert scores(1000) == everything
    assert max(abs(ten[name] - everything[name]) for name in ten) < 0.01
    assert max(abs(one[name] - everything[name]) for name in one) > 0.01


def test_evaluation_gives_what_identification_gives(settings: Path, sample: Path, run: Run, tmp_path: Path) -> None:
    protocol, store = sample / "protocol.csv", tmp_path / "s.db"
    assert run("enroll", protocol, "--db", store, "--config", settings, "--quiet").status == 0
    answers = run("identify", protocol, "--db", store, "--format", "json").json
    found = run("evaluate", protocol, "--config", settings, "--scores", tmp_path / "s.csv", "--quiet")
    assert found.status == 0
    with (tmp_path / "s.csv").open(encoding="utf-8", newline="") as file:
        scores = {(row["path"], row["model"]): row for row in csv.DictReader(file)}
    compared = 0
    for answer in answers:
        for score in answer["scores"]:
            row = scores[answer["path"], score["speaker"]]
            assert float(row["log_likelihood"]) == score["log_likelihood"]
            assert float(row["score"]) == score["llr"]
            compared += 1
    assert compared > 100
