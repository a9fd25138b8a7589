"""Evaluations of degraded recordings: only what is asked is degraded, and nothing else changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import speakerid
from speakerid.audio import Recording, parse_degradation
from speakerid.config import Config, FrontEndConfig, WorldConfig
from speakerid.errors import UsageError
from speakerid.evaluation.outcome import Outcome
from speakerid.workflows import evaluate as evaluating
from speakerid.workflows.cache import FeatureCache
from speakerid.workflows.evaluate import System, SystemResult, content_hashes, degraded_systems, evaluate_system
from speakerid.workflows.identify import Identifier
from speakerid.workflows.protocols import Protocol, read_protocol
from speakerid.workflows.score_book import ScoreBooks

SMALL = Config(
    training=dataclasses.replace(Config().training, method="ml", components=4),
    world=dataclasses.replace(Config().world, file=""),
)
OTHER = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, components=8))
CLEAN = System("small", SMALL)
UNCOMPENSATED = dataclasses.replace(Config(), world=WorldConfig(compensation="none"))


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    with FeatureCache(tmp_path / "cache") as features:
        yield features


@pytest.fixture
def protocol(sample: Path, cache: FeatureCache) -> Protocol:
    def hashes(recordings: Any) -> Any:
        return content_hashes(recordings, SMALL, cache, jobs=1)

    return read_protocol(str(sample / "protocol.csv"), content_hashes=hashes)


def degraded(text: str, *, seed: int = 0) -> System:
    return dataclasses.replace(CLEAN, degradation=parse_degradation(text), degradation_seed=seed)


def evaluated(protocol: Protocol, cache: FeatureCache, system: System, **options: Any) -> SystemResult:
    return evaluate_system(protocol, system, cache, **{"jobs": 1, **options})


def same(first: Outcome, second: Outcome) -> None:
    assert first.rows == second.rows
    for name in ("log_likelihoods", "scores", "enrolled", "enrolled_seconds"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_what_is_asked_is_degraded_and_what_is_enrolled_is_not(
    protocol: Protocol, cache: FeatureCache, tmp_path: Path, sample: Path
) -> None:
    result = evaluated(protocol, cache, degraded("gain:=-6+codec:mulaw", seed=3))
    store = tmp_path / "clean.db"
    speakerid.enroll(sample / "enroll", db=store, config=SMALL, jobs=1)
    identifier = Identifier.open(store)
    for row, found in list(zip(result.outcome.rows, result.outcome.log_likelihoods, strict=True))[:4]:
        recording = Recording(row.path, degradation=parse_degradation("gain:=-6+codec:mulaw"), degradation_seed=3)
        expected = {each.speaker: each.log_likelihood for each in identifier.identify(recording).scores}
        assert dict(zip(result.outcome.speakers, found.tolist(), strict=True)) == expected
    assert {row.path for row in result.outcome.rows} == {each.path for each in protocol.rounds[0].tests}


def test_nothing_depends_on_workers_on_order_or_on_what_was_scored_before(protocol: Protocol, tmp_path: Path) -> None:
    system = degraded("noise:15+reverb")
    with FeatureCache.temporary() as cache:
        alone = evaluated(protocol, cache, system).outcome
    backwards = dataclasses.replace(
        protocol,
        rounds=tuple(dataclasses.replace(each, tests=each.tests[::-1]) for each in protocol.rounds),
    )
    with FeatureCache(tmp_path / "other") as cache:
        books = ScoreBooks(cache.folder.parent, limit_bytes=10**8)
        clean = evaluated(protocol, cache, CLEAN, books=books).outcome
        for jobs in (1, 4):
            same(evaluated(protocol, cache, system, books=books, jobs=jobs).outcome, alone)
        assert books.found == len(alone.rows) - sum(row.reason is not None for row in alone.rows)
        turned = evaluated(backwards, cache, system, jobs=3).outcome
        np.testing.assert_array_equal(turned.log_likelihoods[::-1], alone.log_likelihoods)
        same(evaluated(protocol, cache, CLEAN, books=books).outcome, clean)
    assert not np.array_equal(clean.log_likelihoods, alone.log_likelihoods)


def test_another_seed_draws_other_noise(protocol: Protocol, cache: FeatureCache) -> None:
    one, other = (evaluated(protocol, cache, degraded("noise:20", seed=seed)).outcome for seed in (0, 1))
    assert not np.array_equal(one.log_likelihoods, other.log_likelihoods)


def test_the_cache_keeps_degraded_features_apart(cache: FeatureCache, sample: Path, tmp_path: Path) -> None:
    path = str(sample / "test" / "alice-1.flac")
    noises = tmp_path / "hiss.wav"
    rng = np.random.default_rng(0)
    sf.write(noises, 0.1 * rng.standard_normal(16000), 16000)
    recordings = [
        Recording(path),
        Recording(path, degradation_seed=5),  # nothing is drawn: the same entry
        Recording(path, degradation=parse_degradation("noise:20")),
        Recording(path, degradation=parse_degradation("noise:20"), degradation_seed=1),
        Recording(path, degradation=parse_degradation("noise:21")),
        Recording(path, degradation=parse_degradation("clip:6")),
        Recording(path, degradation=parse_degradation(f"noise:20:{noises}")),
    ]
    found = [cache.analyse(recording, FrontEndConfig()) for recording in recordings]
    assert cache.usage().entries == len(recordings) - 1
    hashes = [analysis.content_hash for analysis in found]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == len(recordings) - 1
    for recording, before in zip(recordings, found, strict=True):
        again = cache.analyse(recording, FrontEndConfig())
        assert again.content_hash == before.content_hash
        np.testing.assert_array_equal(again.static.cepstra, before.static.cepstra)
    assert cache.misses == len(recordings) - 1


def test_a_changed_file_of_noise_is_noticed(cache: FeatureCache, sample: Path, tmp_path: Path) -> None:
    noises = tmp_path / "hiss.wav"
    hashes = set()
    for seed in range(2):
        sf.write(noises, 0.1 * np.random.default_rng(seed).standard_normal(16000 + seed), 16000)
        (system,) = degraded_systems([CLEAN], [f"noise:10:{noises}"], seed=0)[1:]
        recording = Recording(str(sample / "test" / "alice-1.flac"), degradation=system.degradation)
        hashes.add(cache.analyse(recording, FrontEndConfig()).content_hash)
    assert len(hashes) == 2


def test_names_of_systems() -> None:
    one = degraded_systems([CLEAN], ["noise:10.0", parse_degradation("telephone")], seed=4)
    assert [system.name for system in one] == ["clean", "noise:10", "telephone"]
    assert [str(system.degradation) for system in one] == ["None", "noise:10", "telephone"]
    assert {system.degradation_seed for system in one} == {4}
    two = degraded_systems([CLEAN, System("tuned", OTHER)], ["noise:10"], seed=0)
    assert [system.name for system in two] == ["small, clean", "small, noise:10", "tuned, clean", "tuned, noise:10"]
    assert [system.config for system in two] == [SMALL, SMALL, OTHER, OTHER]
    assert degraded_systems([CLEAN], [], seed=0) == [CLEAN]
    with pytest.raises(UsageError, match="twice"):
        degraded_systems([CLEAN], ["noise:10", "noise:10.0"], seed=0)


def test_the_world_model_is_read_once_for_all_degradations(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Config] = []
    monkeypatch.setattr(evaluating, "world_of", reads.append)
    made = degraded_systems([CLEAN, System("tuned", OTHER)], ["noise:10", "telephone"], seed=0)
    assert [system.world for system in made] == [None] * 6
    assert len(reads) <= 2


def test_in_python(sample: Path) -> None:
    options: dict[str, Any] = {"config": SMALL, "jobs": 1, "seed": 2}
    data = sample / "protocol.csv"
    plain = speakerid.evaluate(data, **options)
    values = speakerid.evaluate(data, degrade=["noise:20", parse_degradation("clip:3")], **options)
    assert plain["degradation"] is None
    assert plain["system"] == "default"
    assert [values["system"], *(each["system"] for each in values["other_systems"])] == ["clean", "noise:20", "clip:3"]
    assert [each["degradation"] for each in values["other_systems"]] == ["noise:20", "clip:3"]
    for key in ("top1", "top1_ci95", "open_set", "verification", "trials", "undecided", "digest", "config"):
        assert values.get(key) == plain.get(key)
    assert values["protocol"] == plain["protocol"]
    assert len(values["differences"]) == 2
    assert speakerid.evaluate(data, degrade="clip:3", **options)["other_systems"][0]["degradation"] == "clip:3"
    with pytest.raises(UsageError, match="no degradation"):
        speakerid.evaluate(data, degrade=["loud"], **options)


def test_scores_in_a_book_know_how_many_components_counted(
    protocol: Protocol, cache: FeatureCache, tmp_path: Path
) -> None:
    books = ScoreBooks(tmp_path / "books")
    few = System("few", dataclasses.replace(Config(), world=dataclasses.replace(Config().world, top_components=2)))
    first = evaluated(protocol, cache, System("default", Config()), books=books).outcome
    second = evaluated(protocol, cache, few, books=books).outcome
    assert not np.array_equal(first.log_likelihoods, second.log_likelihoods)
    same(second, evaluated(protocol, cache, few).outcome)


@pytest.mark.parametrize("text", ["noise:10:pink", "telephone"])
def test_in_noise_too_an_evaluation_is_what_identification_answers(
    sample: Path, cache: FeatureCache, enrolled: Path, text: str
) -> None:
    def hashes(recordings: Any) -> Any:
        return content_hashes(recordings, Config(), cache, jobs=1)

    protocol = read_protocol(str(sample / "protocol.csv"), content_hashes=hashes)
    system = System("default", Config(), parse_degradation(text))
    outcome = evaluated(protocol, cache, system).outcome
    plain = evaluated(protocol, cache, dataclasses.replace(system, config=UNCOMPENSATED)).outcome
    identifier = Identifier.open(enrolled)
    asked = 0
    for row, values, without in zip(outcome.rows, outcome.log_likelihoods, plain.log_likelihoods, strict=True):
        answer = identifier.identify(Recording(row.path, degradation=parse_degradation(text)))
        if not answer.scores:
            continue
        asked += 1
        found = {score.speaker: score.log_likelihood for score in answer.scores}
        assert found == dict(zip(outcome.speakers, values.tolist(), strict=True))
        assert not np.array_equal(values, without)
    assert asked >= 15


def test_scores_in_a_book_know_whether_they_were_compensated(
    protocol: Protocol, sample: Path, cache: FeatureCache, tmp_path: Path
) -> None:
    books = ScoreBooks(tmp_path / "books")
    system = System("default", Config(), parse_degradation("noise:10:pink"))
    first = evaluated(protocol, cache, system, books=books).outcome
    plain = dataclasses.replace(system, config=UNCOMPENSATED)
    second = evaluated(protocol, cache, plain, books=books).outcome
    assert not np.array_equal(first.log_likelihoods, second.log_likelihoods)
    same(second, evaluated(protocol, cache, plain).outcome)
