"""Speakers as classes: scikit-learn's checks and searches, the mixtures by hand, and the sample voices."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from scipy.special import log_softmax
from sklearn.base import clone, is_classifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.utils.estimator_checks import check_estimators_data_not_an_array

import speakerid
from speakerid import FrontEndConfig, Recording, SpeakerClassifier, TrainingConfig, Waveform
from speakerid.errors import MissingExtraError, RecordingError, TrainingError
from speakerid.mixtures import frame_log_likelihoods, train, train_each
from speakerid.scoring import MixtureStack

# Checks of scikit-learn that do not apply, and why. An entry whose check passes fails the test.
DO_NOT_APPLY: dict[str, str] = {}
# It wants pandas as well; what it does without is done in a test below.
MAY_BE_SKIPPED = {"check_classifier_data_not_an_array"}

RUN_CHECKS = """
import json, sys, warnings
from sklearn.utils.estimator_checks import check_estimator
from speakerid import SpeakerClassifier
parameters, expected = map(json.loads, sys.argv[1:])
warnings.filterwarnings("ignore", message="Estimator .* does not inherit from")
results = check_estimator(SpeakerClassifier(**parameters), on_skip=None, on_fail=None, expected_failed_checks=expected)
print(json.dumps([(r["check_name"], r["status"], r["expected_to_fail"], repr(r["exception"])) for r in results]))
"""


@pytest.mark.parametrize(
    "parameters", [{}, {"components": "auto"}, {"components": 2, "covariance": "tied", "n_jobs": 1}], ids=str
)
def test_the_checks_of_scikit_learn(python: Callable[..., Any], parameters: dict[str, Any]) -> None:
    # with it scikit-learn does not leave out the check of array_api input
    environment = {"SCIPY_ARRAY_API": "1"}
    outcome = python(RUN_CHECKS, json.dumps(parameters), json.dumps(DO_NOT_APPLY), env=environment)
    assert outcome.status == 0, outcome.err
    results = json.loads(outcome.out)
    assert len(results) > 50
    assert [r for r in results if r[1] == "failed"] == []
    assert [r for r in results if r[1] == "passed" and r[2]] == [], "listed as not applying, but it passes"
    assert {r[0] for r in results if r[1] == "skipped"} <= MAY_BE_SKIPPED


def test_what_is_not_an_array_but_can_become_one() -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    check_estimators_data_not_an_array("SpeakerClassifier", SpeakerClassifier(), X, np.arange(60) % 2, "NotAnArray")


Voices = tuple[list[np.ndarray], list[str], list[int]]


@pytest.fixture(scope="module")
def voices() -> Voices:
    """Recordings of three speakers of different lengths in three sessions: features, speakers, sessions."""
    draw = np.random.default_rng(11)
    centres = {name: draw.normal(size=(4, 6)) for name in ("Ada", "Ben", "Cem")}
    recordings, speakers, sessions = [], [], []
    for session in range(3):
        for name, means in centres.items():
            for _ in range(2):
                n = int(draw.integers(60, 120))
                frames = means[draw.integers(4, size=n)] + 0.7 * draw.normal(size=(n, 6)) + 0.1 * draw.normal(size=6)
                recordings.append(frames.astype(np.float32))
                speakers.append(name)
                sessions.append(session)
    return recordings, speakers, sessions


def pooled(voices: Voices) -> dict[str, np.ndarray]:
    recordings, speakers, _sessions = voices
    return {
        name: np.concatenate([r for r, s in zip(recordings, speakers, strict=True) if s == name])
        for name in sorted(set(speakers))
    }


@pytest.mark.parametrize("covariance", ["diagonal", "spherical", "tied", "full"])
def test_the_mixtures_are_those_trained_by_hand(voices: Voices, covariance: str) -> None:
    recordings, speakers, _sessions = voices
    classifier = SpeakerClassifier(4, covariance=covariance, variance_floor=0.01, iterations=7).fit(
        recordings, speakers
    )
    config = TrainingConfig(components=4, covariance=covariance, variance_floor=0.01, iterations=7)
    by_hand = {name: train(X, config) for name, X in pooled(voices).items()}
    assert classifier.classes_.tolist() == list(classifier.mixtures_) == ["Ada", "Ben", "Cem"]
    assert classifier.mixtures_ == {name: mixture for name, (mixture, _record) in by_hand.items()}
    assert classifier.records_ == {name: record for name, (_mixture, record) in by_hand.items()}
    assert classifier.n_features_in_ == 6
    assert classifier.front_end_ == FrontEndConfig()

    stack = MixtureStack([mixture for mixture, _record in by_hand.values()])
    means = np.stack([stack.mean_log_likelihoods(r) for r in recordings])
    counts = np.array([len(r) for r in recordings])
    np.testing.assert_array_equal(classifier.decision_function(recordings), means)
    np.testing.assert_array_equal(classifier.predict(recordings), classifier.classes_[means.argmax(axis=1)])
    log_posterior = log_softmax(counts[:, None] * means, axis=1)
    np.testing.assert_allclose(classifier.predict_log_proba(recordings), log_posterior, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(classifier.predict_proba(recordings), np.exp(log_posterior), rtol=1e-9)
    # the densities themselves, without the stack
    exact = [[frame_log_likelihoods(m, r).mean() for m in classifier.mixtures_.values()] for r in recordings]
    np.testing.assert_allclose(means, exact, atol=1e-4)


def test_a_matrix_is_recordings_of_one_frame(voices: Voices) -> None:
    frames = pooled(voices)
    X = np.concatenate(list(frames.values())).astype(np.float64)
    y = np.repeat(list(frames), [len(f) for f in frames.values()])
    vectors = SpeakerClassifier(4).fit(X, y)
    short = SpeakerClassifier(4).fit(list(X[:, None]), y)
    assert vectors.mixtures_ == short.mixtures_
    exact = np.stack([frame_log_likelihoods(m, X) for m in vectors.mixtures_.values()], axis=1)
    np.testing.assert_array_equal(vectors.decision_function(X), exact)
    np.testing.assert_allclose(short.decision_function(X[:50, None]), exact[:50], atol=1e-4)
    np.testing.assert_allclose(vectors.predict_proba(X), np.exp(log_softmax(exact, axis=1)), rtol=1e-9)
    assert vectors.features(X[:2])[1].tolist() == [X[1].tolist()]


def test_two_speakers_have_one_column(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    chosen = [i for i, name in enumerate(speakers) if name != "Cem"]
    X, y = [recordings[i] for i in chosen], [speakers[i] for i in chosen]
    classifier = SpeakerClassifier(4).fit(X, y)
    decision = classifier.decision_function(X)
    assert decision.shape == (len(X),)
    np.testing.assert_array_equal(decision > 0, classifier.predict(X) == "Ben")
    assert classifier.predict_proba(X).shape == (len(X), 2)


def test_one_speaker_is_always_the_answer(voices: Voices) -> None:
    recordings = voices[0]
    classifier = SpeakerClassifier(2).fit(recordings[:1], ["Ada"])
    assert classifier.predict(recordings).tolist() == ["Ada"] * len(recordings)
    assert classifier.decision_function(recordings).shape == (len(recordings), 1)
    np.testing.assert_array_equal(classifier.predict_proba(recordings), 1.0)


def test_labels_are_given_back_as_they_came(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    numbers = [{"Ada": 30, "Ben": 7, "Cem": -2}[name] for name in speakers]
    classifier = SpeakerClassifier(4).fit(recordings, numbers)
    assert classifier.classes_.tolist() == [-2, 7, 30]
    assert classifier.predict(recordings).dtype.kind == "i"
    assert classifier.score(recordings, numbers) == 1.0
    assert classifier.score(recordings, [30] * len(recordings)) == pytest.approx(1 / 3)
    objects = SpeakerClassifier(4).fit(recordings, np.array(speakers, dtype=object))
    assert objects.predict(recordings).tolist() == speakers
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        SpeakerClassifier(4).fit(recordings, np.array(speakers)[:, None])


def test_every_way_to_give_features(voices: Voices) -> None:
    recordings = [r[:60] for r in voices[0]]
    speakers = voices[1]
    expected = SpeakerClassifier(4).fit(recordings, speakers)
    ragged = np.empty(len(recordings), dtype=object)
    ragged[:] = recordings
    ways: dict[str, Any] = {
        "tuple": tuple(recordings),
        "array": np.stack(recordings),
        "array of objects": np.array(recordings, dtype=object),
        "object array of arrays": ragged,
    }
    for way, X in ways.items():
        classifier = SpeakerClassifier(4).fit(X, speakers)
        if way != "array of objects":  # that one has lost its float32
            assert classifier.mixtures_ == expected.mixtures_, way
        np.testing.assert_allclose(classifier.decision_function(X), expected.decision_function(recordings), atol=1e-3)
    lists = [r.tolist() for r in recordings]
    assert SpeakerClassifier(4).fit(lists, speakers).predict(lists).tolist() == expected.predict(recordings).tolist()


def test_the_number_of_threads_changes_nothing(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    one, two = (SpeakerClassifier(4, n_jobs=n).fit(recordings, speakers) for n in (1, 2))
    assert one.mixtures_ == two.mixtures_
    np.testing.assert_array_equal(one.decision_function(recordings), two.decision_function(recordings))


def test_few_frames_give_few_components(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    classifier = SpeakerClassifier(64, minimum_frames_per_component=50).fit(recordings, speakers)
    for name, frames in pooled(voices).items():
        assert classifier.records_[name].components_asked == 64
        assert classifier.mixtures_[name].n_components == len(frames) // 50


def test_copies(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    front_end = FrontEndConfig(cepstra=13)
    fitted = SpeakerClassifier(4, front_end=front_end).fit(recordings, speakers)
    assert is_classifier(fitted)
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "mixtures_")
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.decision_function(recordings), fitted.decision_function(recordings))
    assert repr(SpeakerClassifier()) == "SpeakerClassifier()"
    assert repr(SpeakerClassifier(seed=3)) == "SpeakerClassifier(seed=3)"


# scikit-learn's tools --------------------------------------------------------------------------------------------------


def test_cross_validation_with_groups(voices: Voices) -> None:
    recordings, speakers, sessions = voices
    classifier = SpeakerClassifier(4, n_jobs=1)
    scores = cross_val_score(classifier, recordings, speakers, groups=sessions, cv=GroupKFold(3))
    by_hand = []
    for _train, test in GroupKFold(3).split(recordings, speakers, sessions):
        held_out = set(test.tolist())
        kept = [i for i in range(len(recordings)) if i not in held_out]
        fitted = SpeakerClassifier(4).fit([recordings[i] for i in kept], [speakers[i] for i in kept])
        by_hand.append(fitted.score([recordings[i] for i in test], [speakers[i] for i in test]))
    assert scores.tolist() == by_hand
    assert scores.mean() > 0.9
    predicted = cross_val_predict(classifier, recordings, speakers, groups=sessions, cv=GroupKFold(3))
    assert np.mean(predicted == np.array(speakers)) == pytest.approx(scores.mean())
    posteriors = cross_val_predict(classifier, recordings, speakers, cv=3, method="predict_proba")
    assert posteriors.shape == (len(recordings), 3)


def test_a_search_over_components_and_covariance(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    ragged = np.empty(len(recordings), dtype=object)
    ragged[:] = recordings
    grid = {"components": np.array([1, 4]), "covariance": ["diagonal", "full"]}
    searches = [
        GridSearchCV(SpeakerClassifier(n_jobs=1), grid, cv=3, scoring=scoring).fit(ragged, speakers)
        for scoring in (None, "accuracy")
    ]
    np.testing.assert_array_equal(*(s.cv_results_["mean_test_score"] for s in searches))
    assert set(searches[0].best_params_) == {"components", "covariance"}
    assert searches[0].predict(recordings).tolist() == speakers


def test_a_search_in_other_processes(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    one, two = (
        GridSearchCV(SpeakerClassifier(n_jobs=1), {"components": [1, 4]}, cv=2, n_jobs=n).fit(recordings, speakers)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


# audio ----------------------------------------------------------------------------------------------------------------

NAMES = ("Aino", "Duncan", "Tom")


@pytest.fixture(scope="module")
def files(sample: Path) -> tuple[list[Path], list[str]]:
    """Enrolment recordings of three voices, and whose they are."""
    paths = [path for name in NAMES for path in sorted((sample / "enroll" / name).glob("*.flac"))]
    return paths, [path.parent.name for path in paths]


@pytest.fixture(scope="module")
def questions(sample: Path) -> tuple[list[str], list[str]]:
    """Test recordings of the same voices."""
    paths = [path for name in NAMES for path in sorted((sample / "test").glob(f"{name.lower()}-*.flac"))]
    names = {name.lower(): name for name in NAMES}
    return [str(path) for path in paths], [names[path.stem.split("-")[0]] for path in paths]


@pytest.fixture(scope="module")
def fitted(files: tuple[list[Path], list[str]]) -> SpeakerClassifier:
    return SpeakerClassifier().fit(*files)


def test_voices_are_told_apart(fitted: SpeakerClassifier, questions: tuple[list[str], list[str]]) -> None:
    paths, names = questions
    assert len(paths) >= 5
    assert fitted.predict(paths).tolist() == names
    assert fitted.score(np.array(paths), names) == 1.0
    assert fitted.n_features_in_ == FrontEndConfig().n_features


def test_it_is_the_model_that_enroll_stores(
    fitted: SpeakerClassifier,
    enrolled_ml: Path,
    files: tuple[list[Path], list[str]],
    questions: tuple[list[str], list[str]],
) -> None:
    identifier = speakerid.Identifier.open(enrolled_ml)
    for name in NAMES:
        ours, stored = fitted.mixtures_[name], identifier.mixtures[name]
        for array in ("weights", "means", "covariances"):
            # a store keeps them in float32
            np.testing.assert_array_equal(getattr(ours, array).astype("f4"), getattr(stored, array).astype("f4"))
    backwards = SpeakerClassifier(n_jobs=1).fit(files[0][::-1], files[1][::-1])
    assert backwards.mixtures_ == fitted.mixtures_
    for path, row in zip(questions[0], fitted.decision_function(questions[0]), strict=True):
        scores = {s.speaker: s.log_likelihood for s in identifier.identify(path).scores}
        # the stack is of other speakers there, and in float32
        np.testing.assert_allclose(row, [scores[name] for name in NAMES], atol=1e-4)


def test_paths_recordings_samples_and_features_are_one_thing(
    fitted: SpeakerClassifier, questions: tuple[list[str], list[str]]
) -> None:
    paths = questions[0][:2]
    waveforms = []
    for path in paths:
        samples, rate = sf.read(path, dtype="float32")
        waveforms.append(Waveform(samples, rate))
    expected = fitted.decision_function(paths)
    features = fitted.features(paths)
    identifier = speakerid.Identifier(fitted.mixtures_, fitted.front_end_)
    np.testing.assert_array_equal(features[0], identifier.features(paths[0]).speech_values)
    mixed = [Path(paths[0]), features[1]]
    for X in ([Recording(path) for path in paths], waveforms, features, mixed):
        np.testing.assert_allclose(fitted.decision_function(X), expected, atol=1e-6)


def test_the_front_end_is_that_of_fit(files: tuple[list[Path], list[str]]) -> None:
    classifier = SpeakerClassifier(4, front_end=FrontEndConfig(cepstra=13, deltas=0)).fit(*files)
    assert classifier.n_features_in_ == 13
    before = classifier.decision_function(files[0][:1])
    classifier.set_params(front_end=None)
    np.testing.assert_array_equal(classifier.decision_function(files[0][:1]), before)


def test_cross_validation_on_paths(files: tuple[list[Path], list[str]]) -> None:
    paths, speakers = files
    scores = cross_val_score(SpeakerClassifier(8), paths, speakers, cv=3)
    assert scores.tolist() == [1.0, 1.0, 1.0]
    features = SpeakerClassifier().features(paths)
    search = GridSearchCV(SpeakerClassifier(n_jobs=1), {"components": [4, 8], "covariance": ["diagonal", "tied"]}, cv=3)
    assert search.fit(features, speakers).best_score_ == 1.0


def test_an_error_keeps_its_kind(
    fitted: SpeakerClassifier, questions: tuple[list[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def needs_more(*arguments: Any, **options: Any) -> None:
        raise MissingExtraError("a.m4a: needs more")

    monkeypatch.setattr("speakerid.workflows.classifier.analyse", needs_more)
    with pytest.raises(MissingExtraError, match="needs more"):
        fitted.predict(questions[0])


def test_a_recording_that_cannot_be_used_is_named(
    fitted: SpeakerClassifier, files: tuple[list[Path], list[str]], bad_inputs: dict[str, Path]
) -> None:
    paths, speakers = files
    for kind, reason in (
        ("silence", "no_speech"),
        ("missing", "unreadable"),
        ("text", "unreadable"),
        ("empty", "empty"),
    ):
        bad = bad_inputs[kind]
        for call in (
            lambda bad=bad: SpeakerClassifier().fit([*paths[:2], bad], [*speakers[:2], "Tom"]),
            lambda bad=bad: fitted.predict([paths[0], bad]),
            lambda bad=bad: fitted.features([bad]),
        ):
            with pytest.raises(RecordingError) as error:
                call()
            assert str(bad) in str(error.value)
            assert error.value.reason == reason
            assert "\n" not in str(error.value)
    with pytest.raises(RecordingError, match=r"list\.csv, row 7: .*silence"):
        fitted.predict([Recording(str(bad_inputs["silence"]), origin="list.csv, row 7")])
    quiet = Waveform(np.zeros(16000, np.float32), 16000)
    with pytest.raises(RecordingError, match="recording 2: no speech"):
        fitted.predict([paths[0], quiet])
    with pytest.raises(RecordingError, match="kitchen: no speech"):
        fitted.predict([Waveform(quiet.samples, 16000, label="kitchen")])


# what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"components": 0}, "components = 0: expected at least 1"),
        ({"components": "many"}, 'components = "many"'),
        ({"covariance": "round"}, 'covariance = "round": expected one of'),
        ({"initialisation": "luck"}, 'initialisation = "luck"'),
        ({"iterations": 1.5}, "iterations = 1.5: expected a whole number"),
        ({"tolerance": -1}, "tolerance = -1.0"),
        ({"variance_floor": 2}, "variance_floor = 2.0"),
        ({"minimum_frames_per_component": 0}, "minimum_frames_per_component = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"front_end": "mfcc"}, "front_end = 'mfcc': expected a FrontEndConfig"),
        ({"n_jobs": 0}, "n_jobs = 0"),
    ],
)
def test_a_wrong_parameter_is_named_in_fit(voices: Voices, parameters: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match="^" + next(iter(parameters))) as error:
        SpeakerClassifier(**parameters).fit(voices[0], voices[1])
    assert complaint in str(error.value)


def test_wrong_recordings(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    X, hole = recordings[:2], recordings[1].copy()
    hole[3, 1] = np.nan
    refused: list[tuple[Any, type[Exception], str]] = [
        ([X[0], X[1][:, :4]], ValueError, "different numbers of features: 4, 6"),
        ([X[0], hole], ValueError, "recording 2: Input X contains NaN"),
        ([X[0], X[1][0]], ValueError, "recording 2: Expected 2D array, got 1D"),
        ([X[0], X[1][:0]], RecordingError, "recording 2: there are no frames"),
        ([X[0], X[1] + 1j], ValueError, "recording 2: Complex data not supported"),
        (X[0][0], ValueError, "Expected 2D array, got 1D"),
        ([], ValueError, "no recordings: SpeakerClassifier needs at least one"),
        ("a.wav", TypeError, "expected a list of recordings, got a single one"),
        (Recording("a.wav"), TypeError, "expected a list of recordings, got a single one"),
    ]
    for given, kind, complaint in refused:
        with pytest.raises(kind, match=complaint):
            SpeakerClassifier(2).fit(given, speakers[:2])
    fitted = SpeakerClassifier(2).fit(X, speakers[:2])
    with pytest.raises(
        ValueError, match="recording 1: X has 4 features, but SpeakerClassifier is expecting 6 features"
    ):
        fitted.predict([X[0][:, :4]])
    with pytest.raises(
        ValueError, match="recording 2: the front end gives 40 features, but SpeakerClassifier is expect"
    ):
        fitted.predict([X[0], "a.wav"])


@pytest.mark.parametrize(
    ("y", "complaint"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (["a"], r"inconsistent numbers of samples: \[2, 1\]"),
        ("ab", "y should be a 1d array"),
        ([["a", "b"], ["a", "b"]], "y should be a 1d array"),
        ([0.5, 1.0], "Unknown label type: continuous"),
        ([np.nan, 1.0], "Input y contains NaN"),
        (np.array(["a", None]), "Unknown label type: labels of different kinds"),
    ],
)
def test_wrong_labels(voices: Voices, y: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SpeakerClassifier(2).fit(voices[0][:2], y)


def test_a_speaker_that_cannot_be_trained_is_named(voices: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_for_the_second(matrices: list[np.ndarray], config: TrainingConfig, jobs: int | None) -> list[Any]:
        results: list[Any] = train_each(matrices, config, jobs=jobs)
        results[1] = TrainingError("the frames are of no use")
        return results

    monkeypatch.setattr("speakerid.workflows.classifier.train_each", fail_for_the_second)
    with pytest.raises(TrainingError, match="Ben: the frames"):
        SpeakerClassifier(2).fit(voices[0], voices[1])


def test_before_fit(voices: Voices) -> None:
    classifier = SpeakerClassifier()
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="this SpeakerClassifier is not fitted yet"):
            getattr(classifier, name)(voices[0])


def test_a_posterior_that_rounds_to_zero_keeps_its_logarithm(voices: Voices) -> None:
    recordings, speakers, _sessions = voices
    fitted = SpeakerClassifier(4).fit(recordings, speakers)
    long = [np.concatenate([r for r, s in zip(recordings, speakers, strict=True) if s == "Ada"] * 20)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        posterior, logarithm = fitted.predict_proba(long), fitted.predict_log_proba(long)
    assert posterior.tolist() == [[1.0, 0.0, 0.0]]
    assert np.isfinite(logarithm).all()
    assert (logarithm[0, 1:] < -1000).all()
