"""Verification: the same with any workers, by a threshold or a rate, and never below even odds unless it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speakerid.audio import Recording
from speakerid.config import Config, DecisionConfig
from speakerid.errors import UnknownSpeakerError, UsageError
from speakerid.scoring import Calibration
from speakerid.store import Store
from speakerid.workflows.identify import Identifier
from speakerid.workflows.shipped import shipped_calibration, shipped_world
from speakerid.workflows.verify import verify, verify_all

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def identifier(enrolled: Path) -> Identifier:
    return Identifier.open(enrolled)


@pytest.fixture(scope="module")
def files(sample: Path) -> list[Recording]:
    return [Recording(str(path)) for path in sorted((sample / "test").glob("*.flac"))]


@pytest.fixture(scope="module")
def alice(sample: Path) -> Path:
    return sample / "test" / "alice-1.flac"


def with_calibration(identifier: Identifier, calibration: Calibration | None) -> Identifier:
    return Identifier(
        dict(identifier.mixtures), identifier.front_end, world=shipped_world(identifier.front_end), top_components=10,
        calibration=calibration,
    )  # fmt: skip


def test_who_it_is_is_accepted_and_nobody_else(identifier: Identifier, files: list[Recording]) -> None:
    for name in ("Alice", "José"):
        for answer in verify_all(identifier, name, files):
            stem = Path(answer.path).name
            if stem == "silence.flac":
                assert (answer.status, answer.accepted, answer.llr, answer.reason) == (
                    "undecided",
                    None,
                    None,
                    "no_speech",
                )
                continue
            own = stem.startswith({"Alice": "alice", "José": "jose"}[name])
            assert answer.accepted == own
            assert answer.status == ("accepted" if own else "rejected")


def test_the_answers_do_not_depend_on_the_workers(identifier: Identifier, files: list[Recording]) -> None:
    many = [*files, *reversed(files)]
    one, two, seven = (list(verify_all(identifier, "Tom", many, jobs=jobs)) for jobs in (1, 2, 7))
    assert one == two == seven
    assert [answer.path for answer in one] == [recording.path for recording in many]


def test_the_ratio_is_that_of_identification(identifier: Identifier, alice: Path) -> None:
    scores = {score.speaker: score for score in identifier.identify(alice).scores}
    for name in identifier.speakers:
        answer = verify(identifier, name, alice)
        assert answer.llr == scores[name].llr
        assert answer.probability == pytest.approx(1 / (1 + math.exp(-answer.llr)))


def test_an_array_is_as_good_as_a_file(identifier: Identifier, alice: Path) -> None:
    import soundfile as sf

    samples, rate = sf.read(alice, dtype="float32")
    answer = verify(identifier, "Alice", samples, sample_rate=rate)
    expected = verify(identifier, "Alice", alice)
    assert answer.accepted is True
    assert answer.llr == pytest.approx(expected.llr, abs=1e-3)
    with pytest.raises(TypeError):
        verify(identifier, "Alice", samples)


# what is needed


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.02, 0.01, 0.001, 1e-6])
def test_the_threshold_is_that_of_the_rate_and_never_below_even_odds(
    identifier: Identifier, alice: Path, rate: float
) -> None:
    asked = shipped_calibration().accepting_threshold(rate)
    answer = verify(identifier, "Alice", alice, false_accept_rate=rate)
    assert answer.threshold == max(asked, 0.0)
    # both kinds are among the rates
    assert (asked < 0) == (rate >= 0.02)


def test_below_even_odds_nothing_is_accepted_but_by_a_threshold(identifier: Identifier, files: list[Recording]) -> None:
    by_rate = list(verify_all(identifier, "Alice", files, false_accept_rate=0.999999))
    below = [answer for answer in by_rate if answer.llr is not None and answer.llr < 0]
    assert len(below) > 10
    assert not any(answer.accepted for answer in below)
    lowest = min(answer.llr for answer in below if answer.llr is not None)
    taken = list(verify_all(identifier, "Alice", files, threshold=lowest))
    assert all(answer.accepted for answer in taken if answer.llr is not None)
    assert {answer.threshold for answer in taken} == {lowest}


def test_a_ratio_that_is_the_threshold_is_accepted(identifier: Identifier, alice: Path) -> None:
    ratio = verify(identifier, "Tom", alice).llr
    assert ratio is not None
    assert verify(identifier, "Tom", alice, threshold=ratio).accepted is True
    assert verify(identifier, "Tom", alice, threshold=math.nextafter(ratio, math.inf)).accepted is False


def test_the_rate_of_the_settings_counts(enrolled: Path, alice: Path) -> None:
    strict = Identifier.open(enrolled, config=Config(decision=DecisionConfig(false_accept_rate=1e-4)))
    assert verify(strict, "Alice", alice).threshold == shipped_calibration().accepting_threshold(1e-4)
    assert verify(strict, "Alice", alice, false_accept_rate=0.01).threshold < verify(strict, "Alice", alice).threshold


@pytest.mark.parametrize(
    "rule",
    [
        {"threshold": math.nan}, {"threshold": math.inf}, {"threshold": -math.inf}, {"false_accept_rate": 0.0},
        {"false_accept_rate": 1.0}, {"false_accept_rate": math.nan}, {"false_accept_rate": -1.0},
        {"threshold": 1.0, "false_accept_rate": 0.1},
    ],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused_at_once(identifier: Identifier, rule: dict[str, float]) -> None:
    with pytest.raises(UsageError) as caught:
        verify_all(identifier, "Alice", [], **rule)
    assert len(str(caught.value).splitlines()) == 1


# whom


@pytest.mark.parametrize("name", ["Nobody", "", "alice", "Alice ", "Ali\nce", "A" * 5000])
def test_a_speaker_who_is_not_there_is_one_line(identifier: Identifier, name: str) -> None:
    with pytest.raises(UnknownSpeakerError, match="is enrolled; enrolled: Aino, Alice") as caught:
        verify_all(identifier, name, [])
    assert len(str(caught.value).splitlines()) == 1


def test_speakers_learned_from_nothing_are_refused_in_one_line(
    tmp_path: Path, run: Run, small: Path, alice: Path
) -> None:
    config = tmp_path / "ml.toml"
    config.write_text('[training]\nmethod = "ml"\ncomponents = 4\n', encoding="utf-8")
    assert run("enroll", small, "--db", tmp_path / "ml.db", "--config", config).status == 0
    with pytest.raises(UsageError, match="needs calibrated scores") as caught:
        verify(Identifier.open(tmp_path / "ml.db"), "Alice", alice)
    assert len(str(caught.value).splitlines()) == 1


def test_without_a_calibration_it_is_refused(identifier: Identifier, alice: Path) -> None:
    with pytest.raises(UsageError, match="needs calibrated scores"):
        verify(with_calibration(identifier, None), "Alice", alice)


def test_one_enrolled_speaker_is_enough(tmp_path: Path, run: Run, sample: Path, files: list[Recording]) -> None:
    db = tmp_path / "one.db"
    assert run("enroll", sample / "enroll" / "Alice", "--speaker", "Alice", "--db", db).status == 0
    answers = [a for a in verify_all(Identifier.open(db), "Alice", files) if a.llr is not None]
    own = [a for a in answers if Path(a.path).name.startswith("alice")]
    others = [a for a in answers if a not in own]
    assert len(own) == 2
    assert all(a.accepted for a in own)
    assert min(a.llr for a in own if a.llr) > max(a.llr for a in others if a.llr)
    # same synthetic voice family: a man's voice at the least is not Alice's
    assert not any(a.accepted for a in others if Path(a.path).name.startswith(("tom", "duncan", "ivan")))


def test_a_calibration_of_ones_own_counts(tmp_path: Path, db: Path, alice: Path) -> None:
    before = verify(Identifier.open(db), "Alice", alice)
    own = Calibration((0.0,) * 12 + (1.25,), (0.0,) * 4, ((0.5, -1.0),), ((0.5, 0.0), (0.02, 3.5)))
    with Store(db) as store:
        store.write_calibration(own)
    answer = verify(Identifier.open(db), "Alice", alice)
    assert (answer.llr, answer.threshold, answer.status) == (1.25, 3.5, "rejected")
    with Store(db) as store:
        store.write_calibration(None)
    assert verify(Identifier.open(db), "Alice", alice) == before


# as JSON


def test_the_fields(identifier: Identifier, alice: Path) -> None:
    values = verify(identifier, "Alice", alice).to_dict()
    assert {"path", "speaker", "accepted", "llr", "probability", "threshold", "status", "reason"} <= set(values)
    assert "start" not in values
    stretch = verify(identifier, "Alice", Recording(str(alice), start=0.5, end=2.5)).to_dict()
    assert (stretch["start"], stretch["end"]) == (0.5, 2.5)
    assert stretch["duration_seconds"] == pytest.approx(2.0, abs=0.05)
    assert not np.isnan([values["llr"], values["probability"], values["threshold"]]).any()
