"""The same in Python."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import speakerid
from speakerid.config import WorldConfig
from speakerid.errors import SpeakerNameError, StoreError, StoreMismatchError, StoreNotFoundError, UsageError

Run = Callable[..., Any]
Models = Callable[[Path], dict[str, tuple[object, ...]]]


@pytest.fixture(scope="module")
def identifier(enrolled: Path) -> speakerid.Identifier:
    return speakerid.Identifier.open(enrolled)


# names


def test_every_public_name_exists_and_is_in_the_table() -> None:
    assert sorted(speakerid._HOMES) == sorted(set(speakerid.__all__) - {"__version__"})
    namespace: dict[str, object] = {}
    exec("from speakerid import *", namespace)  # the statement itself is what is tested
    assert set(speakerid.__all__) <= set(namespace)
    assert dir(speakerid) == speakerid.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = speakerid.nothing


def test_the_lazy_table_and_the_types_agree() -> None:
    tree = ast.parse(inspect.getsource(speakerid))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: (node.module or "").removeprefix("speakerid.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == speakerid._HOMES
    for name, home in speakerid._HOMES.items():
        assert getattr(speakerid, name).__name__ == name
        assert getattr(speakerid, name).__module__.startswith(f"speakerid.{home}")


def test_the_package_is_typed_and_its_public_functions_documented() -> None:
    assert (Path(speakerid.__file__).parent / "py.typed").is_file()
    for name in speakerid._HOMES:
        assert (inspect.getdoc(getattr(speakerid, name)) or "").strip(), name


# enrolment


def test_a_folder_or_a_mapping_or_a_manifest(
    small: Path, tmp_path: Path, enrolled: Path, models: Models, sample: Path
) -> None:
    expected = {name: models(enrolled)[name] for name in ("Alice", "Mary Ann", "Tom")}
    report = speakerid.enroll(small, db=tmp_path / "folder.db")
    assert [(s.name, s.new, s.added, s.n_recordings) for s in report.speakers] == [
        (name, True, 3, 3) for name in ("Alice", "Mary Ann", "Tom")
    ]
    assert (report.problems, report.ignored) == ([], [])
    assert models(tmp_path / "folder.db") == expected
    mapping: dict[str, Any] = {
        "Alice": sorted((small / "Alice").iterdir()),
        "Mary Ann": [str(path) for path in (small / "Mary Ann").iterdir()],
        "Tom": [
            speakerid.Recording(str(small / "Tom" / "tom-enroll-1.flac")),
            speakerid.Waveform(*sf.read(small / "Tom" / "tom-enroll-2.flac", dtype="int16"), label="second"),
            sf.read(small / "Tom" / "tom-enroll-3.flac", dtype="float32")[0],
        ],
    }
    report = speakerid.enroll(mapping, db=tmp_path / "mapping.db", sample_rate=16000)
    assert report.problems == []
    assert models(tmp_path / "mapping.db") == expected
    with speakerid.Store(tmp_path / "mapping.db") as store:
        assert {row.source for row in store.recordings("Tom")} == {
            str(small / "Tom" / "tom-enroll-1.flac"), "second", "Tom, array 3",
        }  # fmt: skip
    report = speakerid.enroll(sample / "protocol.csv", db=tmp_path / "manifest.db", jobs=1)
    assert models(tmp_path / "manifest.db") == models(enrolled)


def test_one_array_is_one_recording(tmp_path: Path, speech: tuple[np.ndarray, int]) -> None:
    samples, rate = speech
    report = speakerid.enroll({"Aino": samples}, db=tmp_path / "s.db", sample_rate=rate)
    assert [(s.name, s.added) for s in report.speakers] == [("Aino", 1)]
    with pytest.raises(TypeError, match="sample_rate="):
        speakerid.enroll({"Aino": samples}, db=tmp_path / "s.db")


def test_what_cannot_be_used_is_reported_and_not_raised(tmp_path: Path, small: Path) -> None:
    sounds: dict[str, Any] = {
        "nothing": np.zeros(0, np.float32),
        "silence": np.zeros(32000, np.float32),
        "holes": np.full(32000, np.nan, np.float32),
        "gone": tmp_path / "gone.wav",
        "Tom": small / "Tom" / "tom-enroll-1.flac",
    }
    report = speakerid.enroll(sounds, db=tmp_path / "s.db", sample_rate=16000)
    assert [(p.path, p.reason) for p in report.problems] == [
        ("nothing, array 1", "empty"),
        ("silence, array 1", "no_speech"),
        ("holes, array 1", "unreadable"),
        (str(tmp_path / "gone.wav"), "unreadable"),
    ]
    assert [s.name for s in report.speakers] == ["Tom"]


def test_wrong_requests_are_raised_before_anything_is_done(tmp_path: Path, small: Path, enrolled: Path) -> None:
    db = tmp_path / "s.db"
    tom = small / "Tom" / "tom-enroll-1.flac"
    for given, error in (
        ({"Tom": tom, "a/b": tom}, SpeakerNameError),
        ({"Tom": np.zeros((2, 16000), np.float32)}, UsageError),
        ({"Tom": np.zeros(16000, np.complex64)}, UsageError),
        ({"Tom": "-"}, UsageError),
        (tmp_path / "no folder", UsageError),
        (tmp_path, UsageError),
    ):
        with pytest.raises(error):
            speakerid.enroll(given, db=db, sample_rate=16000)
        assert not db.exists()
    with pytest.raises(StoreMismatchError):
        speakerid.enroll(small, db=enrolled, config=speakerid.Config(training=speakerid.TrainingConfig(components=3)))


# identification


def test_python_and_the_command_line_give_the_same_answers(
    run: Run, identifier: speakerid.Identifier, enrolled: Path, sample: Path
) -> None:
    files = sorted((sample / "test").glob("*.flac"))
    lines = run("identify", *files, "--db", enrolled, "--format", "json").json
    for path, line in zip(files, lines, strict=True):
        answer = identifier.identify(path)
        assert answer.to_dict() == line
        for score, shown in zip(answer.scores, line["scores"], strict=True):
            assert shown["log_likelihood"] == pytest.approx(score.log_likelihood, rel=0, abs=5.1e-7)
        assert identifier.identify(str(path)).to_dict() == line
        samples, rate = sf.read(path, dtype="int16")
        for array in (samples, (samples / 32768).astype(np.float32), samples / 32768):
            given = identifier.identify(array, sample_rate=rate).to_dict()
            assert given["scores"] == line["scores"]
            assert (given["decision"], given["status"], given["reason"]) == (
                line["decision"], line["status"], line["reason"],
            )  # fmt: skip
    assert [answer.to_dict() for answer in identifier.identify_all(map(speakerid.Recording, map(str, files)))] == lines


@pytest.mark.parametrize("store", ["enrolled", "enrolled_ml"])
def test_the_scores_are_the_mixtures_own(request: pytest.FixtureRequest, store: str, sample: Path) -> None:
    """An oracle that knows only the textbook's density."""
    # adapted speakers are scored by all components here
    config = speakerid.Config(world=WorldConfig(top_components=512, compensation="none"))
    path = request.getfixturevalue(store)
    identifier = speakerid.Identifier.open(path, config=config if store == "enrolled" else None)
    path = sample / "test" / "tom-1.flac"
    features = identifier.features(path)
    x = features.speech_values.astype(np.float64)
    answer = identifier.identify(path)
    scores = {score.speaker: score.log_likelihood for score in answer.scores}
    assert set(scores) == set(identifier.speakers)
    for name, mixture in identifier.mixtures.items():
        difference = x[:, None, :] - mixture.means[None]
        logs = -0.5 * (difference**2 / mixture.variances + np.log(2 * np.pi * mixture.variances)).sum(axis=2)
        expected = np.logaddexp.reduce(logs + np.log(mixture.weights), axis=1).mean()
        assert scores[name] == pytest.approx(expected, abs=2e-3)
    assert answer.speech_seconds == pytest.approx(features.speech_seconds)


def test_unknown_undecided_and_a_stretch(identifier: speakerid.Identifier, sample: Path) -> None:
    stranger = identifier.identify(sample / "test" / "stranger-1.flac", threshold=6.0)
    assert (stranger.status, stranger.decision, len(stranger.scores)) == ("unknown", None, 10)
    silence = identifier.identify(np.zeros(16000), sample_rate=16000)
    assert (silence.status, silence.reason, silence.path) == ("undecided", "no_speech", "(array)")
    gone = identifier.identify("gone.wav")
    assert (gone.status, gone.reason, gone.duration_seconds) == ("undecided", "unreadable", None)
    part = identifier.identify(speakerid.Recording(str(sample / "test" / "tom-1.flac"), start=1.0, end=2.0))
    assert (part.decision, part.start, part.end, part.duration_seconds) == ("Tom", 1.0, 2.0, 1.0)
    assert list(part.to_dict(top=1))[-2:] == ["start", "end"]
    assert len(part.to_dict(top=1)["scores"]) == 1
    with pytest.raises(TypeError, match="sample_rate="):
        identifier.identify(np.zeros(16000))


def test_channels_and_integer_types(identifier: speakerid.Identifier, speech: tuple[np.ndarray, int]) -> None:
    samples, rate = speech
    as_int32 = samples.astype(np.int32) << 16
    expected = identifier.identify(samples, sample_rate=rate)
    assert identifier.identify(as_int32, sample_rate=rate) == expected
    with pytest.raises(UsageError, match="shape"):
        identifier.identify(np.stack([samples, samples]), sample_rate=rate)
    with pytest.raises(UsageError, match="100 Hz"):
        identifier.identify(samples, sample_rate=100)


def test_an_identifier_needs_speakers(tmp_path: Path, enrolled: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        speakerid.Identifier.open(tmp_path / "none.db")
    with speakerid.Store.create(
        tmp_path / "empty.db", speakerid.FrontEndConfig(), speakerid.TrainingConfig(method="ml"), version="0"
    ):
        pass
    with pytest.raises(StoreError, match="nobody is enrolled"):
        speakerid.Identifier.open(tmp_path / "empty.db")
    with pytest.raises(UsageError, match="nobody is enrolled"):
        speakerid.Identifier({}, speakerid.FrontEndConfig())
    other = speakerid.Config(front_end=speakerid.FrontEndConfig(cepstra=13))
    with pytest.raises(StoreMismatchError, match="cepstra: 20 against 13"):
        speakerid.Identifier.open(enrolled, config=other)


def test_a_config_sets_how_much_speech_a_decision_needs(enrolled: Path, sample: Path) -> None:
    strict = speakerid.Identifier.open(
        enrolled, config=speakerid.Config(decision=speakerid.DecisionConfig(minimum_speech_seconds=5))
    )
    answer = strict.identify(sample / "test" / "tom-1.flac")
    assert (answer.status, answer.reason) == ("undecided", "too_short")
    assert "at least 5 s" in (answer.message or "")


def test_values_cannot_be_changed(identifier: speakerid.Identifier, sample: Path) -> None:
    answer = identifier.identify(sample / "test" / "tom-1.flac")
    with pytest.raises(AttributeError):
        answer.decision = "Eve"  # type: ignore[misc]
    with pytest.raises(TypeError):
        identifier.mixtures["Eve"] = identifier.mixtures["Tom"]  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        identifier.mixtures["Tom"].means[0, 0] = 0.0
