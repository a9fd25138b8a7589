"""Speakers as the classes of a classifier with the habits of scikit-learn: one generative model p(x | speaker) a speaker.

Recognition picks the speaker that maximises the cumulative log-likelihood over a recording's frames (Reynolds and Rose
1995). A recording is a path, samples, or a matrix of features; a plain matrix is as many recordings of one frame each,
and the classifier one of vectors. Nothing is stored: for a database of speakers there are :func:`speakerid.enroll` and
:class:`speakerid.Identifier`.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speakerid.config import DecisionConfig, FrontEndConfig
from speakerid.errors import RecordingError, TrainingError
from speakerid.frontend import finish
from speakerid.mixtures import GaussianMixture, TrainingRecord, frame_log_likelihoods, train_each
from speakerid.mixtures.estimator import Parameterised, checked_features, jobs_of, scikit_learns, training_config
from speakerid.parallel import effective_jobs, map_in_order, one_blas_thread
from speakerid.scoring import MixtureStack
from speakerid.workflows.analysis import Analysis, Source, Waveform, analyse, as_source, located, require_speech

__all__ = ["SpeakerClassifier"]

Array = NDArray[Any]
Float64 = NDArray[np.float64]
Result = TypeVar("Result")
_SETTINGS = (
    "components",
    "covariance",
    "initialisation",
    "iterations",
    "tolerance",
    "variance_floor",
    "minimum_frames_per_component",
    "seed",
)


class SpeakerClassifier(Parameterised):
    """Gaussian mixtures, one a speaker, that say whose recording it is.

    Parameters
    ----------
    components : int or "auto"
        K of each speaker's mixture; "auto" chooses it for each by BIC.
    covariance : {"diagonal", "spherical", "tied", "full"}
    initialisation : {"splitting", "kmeans", "random"}
    iterations : int
        EM iterations at most.
    tolerance : float
        EM stops when the mean log-likelihood rises by less than this, nats a frame.
    variance_floor : float
        Relative to the variance of the speaker's frames.
    minimum_frames_per_component : int
        A speaker with fewer frames gets fewer components; ``records_`` says so.
    seed : int
        What k-means and random frames draw from.
    front_end : FrontEndConfig, optional
        How features are extracted from paths and samples; the defaults if None. Features that are given are taken as they
        are.
    n_jobs : int, optional
        Threads: all cores if None or −1 (1 is best inside a search that has processes of its own). The result does not
        depend on it.

    Attributes
    ----------
    classes_ : ndarray, shape (n_speakers,)
        The speakers, sorted.
    mixtures_ : dict
        GaussianMixture of each speaker.
    records_ : dict
        TrainingRecord of each speaker.
    front_end_ : FrontEndConfig
        What features were, and are, extracted with.
    n_features_in_ : int
        d.

    Notes
    -----
    Recordings X are given as one of

    - a list of paths, :class:`~speakerid.Recording` or :class:`~speakerid.Waveform`, of which the speech frames count;
    - a list of features (n_frames, d), of any lengths; or an array (n_recordings, n_frames, d);
    - an array (n_recordings, d): recordings of one frame.

    Trained on paths, none of them given twice, the mixtures are those of :func:`speakerid.enroll` with the same settings,
    bit for bit (a store then keeps them in float32).

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> paths, speakers = ["a1.wav", "a2.wav", "b1.wav", "b2.wav"], ["alice", "alice", "bob", "bob"]
    >>> classifier = SpeakerClassifier(components=8)
    >>> cross_val_score(classifier, paths, speakers, cv=2)                      # doctest: +SKIP
    >>> features = classifier.features(paths)   # once, for a search            # doctest: +SKIP
    """

    classes_: Array
    mixtures_: dict[Any, GaussianMixture]
    records_: dict[Any, TrainingRecord]
    front_end_: FrontEndConfig
    _stack: MixtureStack

    def __init__(
        self,
        components: int | Literal["auto"] = 16,
        *,
        covariance: str = "diagonal",
        initialisation: str = "splitting",
        iterations: int = 20,
        tolerance: float = 1e-4,
        variance_floor: float = 0.1,
        minimum_frames_per_component: int = 8,
        seed: int = 0,
        front_end: FrontEndConfig | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.components = components
        self.covariance = covariance
        self.initialisation = initialisation
        self.iterations = iterations
        self.tolerance = tolerance
        self.variance_floor = variance_floor
        self.minimum_frames_per_component = minimum_frames_per_component
        self.seed = seed
        self.front_end = front_end
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Pool the frames of each speaker's recordings and train a mixture on them.

        Parameters
        ----------
        X : recordings
            See the notes of the class.
        y : array_like, shape (n_recordings,)
            Their speakers, texts or whole numbers.

        Returns
        -------
        self : SpeakerClassifier

        Raises
        ------
        RecordingError
            A recording cannot be read or has no speech; the message names it. Nothing is passed over.
        ValueError
            A parameter is wrong, X and y differ in length, y is not made of labels, or features are not finite or not of
            one width.
        TypeError
            X or one of the recordings is of another kind.
        TrainingError
            The frames of a speaker cannot be trained on.
        """
        name = type(self).__name__
        config = training_config({setting: getattr(self, setting) for setting in _SETTINGS})
        front_end, jobs = self._front_end(), jobs_of(self.n_jobs)
        recordings = _recordings(X, name)
        classes, numbers = _classes(y, len(recordings), name)
        if isinstance(recordings, np.ndarray):
            pooled = [recordings[numbers == c] for c in range(len(classes))]
        else:
            matrices = _map(partial(_training_frames, front_end=front_end), recordings, jobs)
            _require_one_width([frames for _hash, frames in matrices])
            # as they are enrolled, in the order of their content hashes; features that were given stay as they are
            order = sorted(range(len(matrices)), key=lambda i: matrices[i][0])
            pooled = [np.concatenate([matrices[i][1] for i in order if numbers[i] == c]) for c in range(len(classes))]
        trained = train_each(pooled, config, jobs=jobs)
        labels = classes.tolist()
        mixtures, records = {}, {}
        for label, result in zip(labels, trained, strict=True):
            if isinstance(result, TrainingError):
                raise TrainingError(f"{label}: {result}")
            mixtures[label], records[label] = result
        self.classes_, self.mixtures_, self.records_ = classes, mixtures, records
        self.front_end_ = front_end
        self.n_features_in_ = int(pooled[0].shape[1])
        self._stack = MixtureStack(list(mixtures.values()))
        return self

    def __getstate__(self) -> dict[str, Any]:
        # the stack is the mixtures once more, and has its own working memory
        return {name: value for name, value in vars(self).items() if name != "_stack"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "mixtures_" in state:
            self._stack = MixtureStack(list(self.mixtures_.values()))

    def _front_end(self) -> FrontEndConfig:
        if self.front_end is not None and not isinstance(self.front_end, FrontEndConfig):
            raise ValueError(f"front_end = {self.front_end!r}: expected a FrontEndConfig or None")
        return self.front_end or FrontEndConfig()

    def features(self, X: Any) -> list[Array]:
        """Extract the features of recordings, of their speech frames alone.

        Extracted once, they can be given to `fit` and `predict` in the place of the recordings, as often as a search over
        parameters asks. (Mixtures that are trained on paths differ in the last digits: there the features are rounded as
        in a store.)

        Parameters
        ----------
        X : recordings
            See the notes of the class. It need not be fitted.

        Returns
        -------
        features : list of ndarray, shape (n_frames, d), float32

        Raises
        ------
        RecordingError
            A recording cannot be read or has no speech; the message names it.
        """
        recordings = _recordings(X, type(self).__name__)
        if isinstance(recordings, np.ndarray):
            return list(recordings[:, None])
        return _map(partial(_frames, front_end=self._front_end()), recordings, jobs_of(self.n_jobs))

    def _scores(self, X: Any) -> tuple[Float64, NDArray[np.intp]]:
        """Mean log-likelihoods (n_recordings, n_speakers), nats a frame, and numbers of frames (n_recordings,)."""
        self._require_fitted()
        recordings = _recordings(X, type(self).__name__, self.n_features_in_, self.front_end_)
        if isinstance(recordings, np.ndarray):
            columns = [frame_log_likelihoods(mixture, recordings) for mixture in self.mixtures_.values()]
            return np.stack(columns, axis=1), np.ones(len(recordings), dtype=np.intp)

        def score(recording: Recorded) -> tuple[Float64, int]:
            frames = _frames(recording, self.front_end_)
            return self._stack.mean_log_likelihoods(frames), len(frames)

        means, counts = zip(*_map(score, recordings, jobs_of(self.n_jobs)), strict=True)
        return np.stack(means), np.array(counts)

    def predict(self, X: Any) -> Array:
        """Name the speaker of the largest mean log-likelihood, which is also the largest cumulative one.

        Parameters
        ----------
        X : recordings
            See the notes of the class.

        Returns
        -------
        speakers : ndarray, shape (n_recordings,)

        Raises
        ------
        RecordingError
            A recording cannot be read or has no speech; the message names it.
        ValueError
            Features are not finite, or not those of `fit` in number, or it is not fitted.
        TypeError
            X or one of the recordings is of another kind.
        """
        means, _counts = self._scores(X)
        return np.asarray(self.classes_[means.argmax(axis=1)])

    def decision_function(self, X: Any) -> Float64:
        """Mean log-likelihoods: recordings -> (n_recordings, n_speakers), nats a frame.

        With two speakers, as scikit-learn has it, the second's less the first's, shape (n_recordings,). Errors as in
        :meth:`predict`.
        """
        means, _counts = self._scores(X)
        return means[:, 1] - means[:, 0] if len(self.classes_) == 2 else means

    def predict_log_proba(self, X: Any) -> Float64:
        """Logarithm of :meth:`predict_proba`, (n_recordings, n_speakers), exact also where that rounds to 0."""
        means, counts = self._scores(X)
        # log p(x_1 ... x_N | speaker), less the largest: only differences count
        joint = counts[:, None] * (means - means.max(axis=1, keepdims=True))
        return np.asarray(joint - np.log(np.exp(joint).sum(axis=1, keepdims=True)))

    def predict_proba(self, X: Any) -> Float64:
        """Posterior probabilities of the speakers: recordings -> (n_recordings, n_speakers), rows sum to 1.

        P(s | x_1 ... x_N) ∝ Π_n p(x_n | s), every speaker as likely beforehand and one of them speaking. Frames are taken
        for independent, which those of speech are not: neighbours are nearly copies, so the evidence is counted several
        times, and the answer is over-confident, nearly always 0 or 1. Only the order of the speakers is to be trusted.
        Errors as in :meth:`predict`.
        """
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def score(self, X: Any, y: ArrayLike) -> float:
        """Return the share of recordings (n_recordings,) whose speaker in `y` is the one predicted, 0..1."""
        speakers = self.predict(X)
        return float(np.mean(speakers == _labels(y, len(speakers), type(self).__name__)))

    def __sklearn_tags__(self) -> Any:
        """Say to scikit-learn what this is."""
        utils = importlib.import_module("sklearn.utils")
        return utils.Tags(
            estimator_type="classifier",
            target_tags=utils.TargetTags(required=True),
            classifier_tags=utils.ClassifierTags(),
            input_tags=utils.InputTags(three_d_array=True),
        )


Recorded = Array | Source


def _recordings(
    X: Any, name: str, n_features: int | None = None, front_end: FrontEndConfig | None = None
) -> Array | list[Recorded]:
    """Return recordings as they can be worked on: a matrix of vectors, or a list of features, files and samples."""
    items = _items(X)
    if items is None:
        return checked_features(X, name, n_features)
    if not items:
        raise ValueError(f"no recordings: {name} needs at least one")
    result: list[Recorded] = []
    for number, item in enumerate(items, start=1):
        where = f"recording {number}: "
        if isinstance(item, str | os.PathLike | Source):
            if n_features is not None and front_end is not None and front_end.n_features != n_features:
                raise ValueError(
                    f"{where}the front end gives {front_end.n_features} features, but {name} is expecting {n_features} "
                    "features as input"
                )
            source = as_source(item)
            if isinstance(source, Waveform) and source.label == _NAMELESS:
                source = dataclasses.replace(source, label=f"recording {number}")
            result.append(source)
        elif np.ndim(item) == 2 and len(item) == 0:
            raise RecordingError(f"{where}there are no frames", reason="empty")
        else:
            result.append(checked_features(item, name, n_features, where=where))
    return result


_NAMELESS = Waveform((), 1).label


def _items(X: Any) -> list[Any] | None:
    """Return a list of recordings, or None where X is a matrix of vectors, or should be one."""
    if isinstance(X, str | os.PathLike | Source):
        raise TypeError("expected a list of recordings, got a single one: put it into a list")
    if not isinstance(X, list | tuple):
        if hasattr(X, "toarray"):
            return None
        X = np.asarray(X)
        if X.ndim == 3:
            return list(X)
        if X.ndim != 1:
            return None
    if len(X) == 0 or any(isinstance(item, str | os.PathLike | Source) or _is_matrix(item) for item in X):
        return list(X)
    return None


def _is_matrix(item: Any) -> bool:
    if isinstance(item, list | tuple):
        return bool(item) and isinstance(item[0], list | tuple | np.ndarray)
    return len(getattr(item, "shape", ())) == 2


def _require_one_width(matrices: Iterable[Array]) -> None:
    widths = sorted({matrix.shape[1] for matrix in matrices})
    if len(widths) > 1:
        raise ValueError(f"recordings with different numbers of features: {', '.join(map(str, widths))}")


def _labels(y: ArrayLike, n: int, name: str) -> Array:
    """Return labels as an array (n,)."""
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected: use y.ravel()",
            scikit_learns("DataConversionWarning", UserWarning),
            stacklevel=4,  # the caller of fit
        )
        labels = labels.ravel()
    if labels.ndim != 1:
        raise ValueError(f"y should be a 1d array, got an array of shape {labels.shape} instead")
    if labels.dtype.kind in "fc":
        if not np.isfinite(labels).all():
            raise ValueError("Input y contains NaN or infinity: every recording needs a speaker")
        if (labels != np.round(labels)).any():
            raise ValueError("Unknown label type: continuous numbers; name the speakers by texts or whole numbers")
    if len(labels) != n:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[n, len(labels)]}")
    return labels


def _classes(y: ArrayLike, n: int, name: str) -> tuple[Array, NDArray[np.intp]]:
    """Return the different labels, sorted, and which of them each recording has."""
    try:
        return np.unique(_labels(y, n, name), return_inverse=True)
    except TypeError:
        raise ValueError("Unknown label type: labels of different kinds cannot be sorted") from None


def _map(function: Callable[[Recorded], Result], recordings: list[Recorded], jobs: int | None) -> list[Result]:
    with one_blas_thread():
        return list(map_in_order(function, recordings, effective_jobs(jobs)))


def _analysis(source: Source, front_end: FrontEndConfig, *, hash_content: bool = False) -> Analysis:
    try:
        analysis = analyse(source, front_end, hash_content=hash_content)
        require_speech(analysis.seconds, analysis.speech_seconds, source.label, DecisionConfig().minimum_speech_seconds)
    except RecordingError as error:
        message = located(source, str(error))
        if message == str(error):
            raise
        raise RecordingError(message, reason=error.reason) from None
    return analysis


def _frames(recording: Recorded, front_end: FrontEndConfig) -> Array:
    """Features of the speech frames, (n_frames, d)."""
    if isinstance(recording, np.ndarray):
        return recording
    return finish(_analysis(recording, front_end).static, front_end).speech_values


def _training_frames(recording: Recorded, front_end: FrontEndConfig) -> tuple[str, Array]:
    """Content hash and features, rounded as a store gives them back: so every model is trained."""
    if isinstance(recording, np.ndarray):
        return "", recording
    analysis = _analysis(recording, front_end, hash_content=True)
    return analysis.content_hash or "", finish(analysis.static.rounded(), front_end).speech_values
