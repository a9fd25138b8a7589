"""What the score of a trial is: against the other speakers, the world model, or the other models of a list."""

from __future__ import annotations

import csv
import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import speakerid
from speakerid.config import Config, TrainingConfig, WorldConfig
from speakerid.errors import UsageError
from speakerid.evaluation.outcome import Listed, Outcome, Row
from speakerid.scoring import cohort_scores
from speakerid.workflows.world import gather_for_world, train_world

SMALL = TrainingConfig(components=4, iterations=3)
# by EM and without a world model
ALONE = Config(training=SMALL, world=WorldConfig(file=""))


@pytest.fixture
def world(tmp_path: Path, sample: Path) -> Config:
    recordings = gather_for_world([str(sample / "enroll" / name) for name in ("Alice", "Tom", "Ivan")]).recordings
    train_world(recordings, Config(), output=tmp_path / "w.gmm", components=8, iterations=2)
    return Config(training=TrainingConfig(method="map"), world=WorldConfig(file=str(tmp_path / "w.gmm")))


@pytest.fixture
def voxceleb(tmp_path: Path, sample: Path) -> Path:
    """Two enrolled recordings each of three speakers, asked of a third: a model's rivals may be of its own speaker."""
    names = ("Alice", "Tom", "Ivan")
    lines = []
    for name in names:
        for i in (1, 2):
            for other in names:
                first, second = (f"{n}/{n.lower()}-enroll-{k}.flac" for n, k in ((name, i), (other, 3)))
                lines.append(f"{int(name == other)} {first} {second}")
    path = tmp_path / "trials.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def evaluate(data: Path, config: Config, sample: Path) -> dict[str, Any]:
    return speakerid.evaluate(data, config=config, root=sample / "enroll", cache=False)


def test_in_a_list_without_a_world_the_others_mean_is_subtracted(voxceleb: Path, sample: Path) -> None:
    results = evaluate(voxceleb, ALONE, sample)
    assert results["score"] == "log-likelihood less the mean of all other models of the list"
    by_path: dict[str, dict[str, float]] = {}
    for trial in results["trials"]:
        by_path.setdefault(trial["path"], {})[trial["model"]] = trial["log_likelihood"]
    for trial in results["trials"]:
        others = [value for model, value in by_path[trial["path"]].items() if model != trial["model"]]
        assert len(others) == 5, "every model is asked of every recording here"
        assert trial["score"] == pytest.approx(trial["log_likelihood"] - np.mean(others), abs=2e-6)
    assert results["verification"]["eer"] == 0


@pytest.mark.parametrize("method", ["map", "ml"])
def test_in_a_list_with_a_world_each_trial_stands_for_itself(
    voxceleb: Path, world: Config, sample: Path, method: str
) -> None:
    if method == "ml":
        world = dataclasses.replace(world, training=SMALL)
    results = evaluate(voxceleb, world, sample)
    differences: dict[str, list[float]] = {}
    for trial in results["trials"]:
        differences.setdefault(trial["path"], []).append(trial["log_likelihood"] - trial["score"])
    spread = max(max(of_world) - min(of_world) for of_world in differences.values())
    if method == "ml":
        assert results["score"] == "log-likelihood less that of the world model"
        assert spread < 3e-6
    else:
        assert results["score"] == "calibrated log-likelihood ratio"
        assert spread > 0.1
    # fewer models in the list change nothing for those that remain
    lines = voxceleb.read_text(encoding="utf-8").splitlines()
    voxceleb.write_text("\n".join(lines[:6]), encoding="utf-8")
    alone = evaluate(voxceleb, world, sample)
    scores = {(t["model"], t["path"]): t["score"] for t in results["trials"]}
    assert [t["score"] for t in alone["trials"]] == pytest.approx(
        [scores[t["model"], t["path"]] for t in alone["trials"]], abs=1e-4
    )


def test_one_model_without_a_world_is_said_to_be_alone(voxceleb: Path, sample: Path, world: Config) -> None:
    lines = voxceleb.read_text(encoding="utf-8").splitlines()
    voxceleb.write_text("\n".join(lines[:3]), encoding="utf-8")
    results = evaluate(voxceleb, ALONE, sample)
    assert results["score"].startswith("log-likelihood alone, because a single speaker is enrolled")
    assert [t["score"] for t in results["trials"]] == [t["log_likelihood"] for t in results["trials"]]
    assert evaluate(voxceleb, world, sample)["score"] == "calibrated log-likelihood ratio"
    by_em = dataclasses.replace(world, training=SMALL)
    assert evaluate(voxceleb, by_em, sample)["score"] == "log-likelihood less that of the world model"


def test_a_threshold_is_not_for_lists(voxceleb: Path, sample: Path) -> None:
    with pytest.raises(UsageError, match="a list of trials asks for none"):
        speakerid.evaluate(voxceleb, root=sample / "enroll", threshold=1.0, cache=False)


def test_a_threshold_needs_two_who_could_be_enrolled(tmp_path: Path, sample: Path) -> None:
    protocol = tmp_path / "p.csv"
    with protocol.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "speaker", "split"])
        rows.writerow([sample / "enroll" / "Tom" / "tom-enroll-1.flac", "Tom", "enroll"])
        rows.writerow([sample / "test" / "silence.flac", "Nobody", "enroll"])
        rows.writerow([sample / "test" / "tom-1.flac", "Tom", "test"])
    config = ALONE
    with pytest.raises(UsageError, match=r"p\.csv: only one speaker could be enrolled, and a threshold needs two"):
        speakerid.evaluate(protocol, config=config, threshold=1.0, cache=False)
    assert speakerid.evaluate(protocol, config=config, cache=False)["score"].startswith("log-likelihood alone")


def test_cohort_scores_by_a_loop() -> None:
    values = np.random.default_rng(0).normal(-50, 3, (6, 5))
    values[1, 2] = values[2] = -np.inf
    values[3, 1:] = -np.inf
    found = cohort_scores(values)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            others = [v for k, v in enumerate(row) if k != j and np.isfinite(v)]
            expected = value - np.mean(others) if others and np.isfinite(value) else value
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


def test_recordings_of_a_list_are_of_one_person_where_targets_connect_them() -> None:
    rows = tuple(Row(i, f"{i}.wav") for i in range(5))
    # models a, b; recordings 0, 1 are of a's speaker, 2 of b's, 3 of a's and b's (so these are one), 4 of nobody's
    row, column = np.array([0, 1, 2, 3, 3, 4, 0]), np.array([0, 0, 1, 0, 1, 0, 1])
    target = np.array([True, True, True, False, False, False, False])

    def clusters(target: np.ndarray) -> tuple[str, ...]:
        scores = np.zeros((5, 2))
        listed = Listed(row, column, target)
        return Outcome(("a", "b"), rows, scores, scores, np.ones((1, 2), bool), np.ones((1, 2)), listed).clusters

    apart = clusters(target)
    assert apart[0] == apart[1]
    assert len(set(apart)) == 4
    joined = clusters(target | np.isin(np.arange(7), (3, 4)))
    assert joined[0] == joined[1] == joined[2] == joined[3] != joined[4]


def test_outputs_over_recordings_or_the_world_are_refused(
    run: Callable[..., Any], tmp_path: Path, sample: Path, world: Config
) -> None:
    recording = tmp_path / "tom.json"
    shutil.copy(sample / "enroll" / "Tom" / "tom-enroll-1.flac", recording)
    model = Path(world.world.file).rename(tmp_path / "world.json")
    protocol = tmp_path / "p.csv"
    protocol.write_text(
        f"path,speaker,split\ntom.json,Tom,enroll\n{sample}/enroll/Ivan/ivan-enroll-1.flac,Ivan,enroll\n"
        f"{sample}/test/tom-1.flac,Tom,test\n",
        encoding="utf-8",
    )
    config = tmp_path / "c.toml"
    config.write_text('[training]\nmethod = "map"\n[world]\nfile = "world.json"\n', encoding="utf-8")
    before = {path: path.read_bytes() for path in (recording, model)}
    for output in (recording, model):
        outcome = run("evaluate", protocol, "--config", config, "--json", output)
        assert outcome.status == 2
        assert "would be written over, but it is read" in outcome.err
    assert {path: path.read_bytes() for path in (recording, model)} == before
