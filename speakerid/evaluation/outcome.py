"""What one system answered to all tests of a protocol, beside the truth: what every figure is computed from.

A *row* is one recording asked of the speakers of one round. A recording is *known* in a row when its speaker is enrolled
in that round, else it is a *stranger*'s. With one speaker left out at a time a recording has two rows: one with everybody
enrolled, and one, marked `left_out`, without its own speaker.

Two numbers stand for every row and speaker, both larger for a better fit: the log-likelihood, and the detection score, which
is compared with a threshold. The former ranks the speakers, or the latter where it is a calibrated ratio. Both are −inf for
a speaker who is not enrolled in that round, and throughout for a row that could not be judged: it counts as wrong for a
known recording and as a rejection for a stranger's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from speakerid.evaluation.closed_set import decisions, ranks
from speakerid.evaluation.trials import DetectionTrials

__all__ = ["UNKNOWN", "Listed", "Outcome", "Row"]

#: The label of a speaker who is not enrolled and has no name of its own in a protocol.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """A recording that was asked, and what was found in it.

    Attributes
    ----------
    test : int
        Number of the recording; two rows of one recording share it.
    path : str
    speaker : str or None
        The truth; None in a list of verification trials.
    start, end : float or None
        The stretch in seconds, when only a stretch was asked.
    round : int
    left_out : bool
        Its own speaker is not among the enrolled ones, on purpose.
    reason, message : str or None
        Why it could not be judged, as a word and a sentence.
    speech_seconds, duration_seconds : float or None
    """

    test: int
    path: str
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    round: int = 0
    left_out: bool = False
    reason: str | None = None
    message: str | None = None
    speech_seconds: float | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Listed:
    """Verification trials of a list.

    Attributes
    ----------
    row, column : ndarray of int, shape (n_trials,)
        The recording asked and the model claimed.
    target : ndarray of bool, shape (n_trials,)
    """

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    target: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Scores and truth.

    Attributes
    ----------
    speakers : tuple of str, n_speakers
        Everybody who is enrolled in any round.
    rows : tuple of Row, n_rows
    log_likelihoods : ndarray, shape (n_rows, n_speakers)
        Nats a frame; −inf as the module says.
    scores : ndarray, shape (n_rows, n_speakers)
        Detection scores.
    enrolled : ndarray of bool, shape (n_rounds, n_speakers)
        Who the protocol enrols in which round.
    enrolled_seconds : ndarray, shape (n_rounds, n_speakers)
        Seconds of speech.
    listed : Listed, optional
        The trials, if the protocol lists them; else every row is asked of every speaker enrolled.
    threshold : float, optional
        The least acceptance score that gets a name; None names somebody always.
    handicaps : ndarray, shape (n_rows,), optional
        What is taken off the best speaker's detection score of a row before it is compared with the threshold: the
        logarithm of the number of speakers asked, where scores are calibrated ratios.
    ranked_by_score : bool
        The detection scores rank the speakers, in place of the log-likelihoods.
    """

    speakers: tuple[str, ...]
    rows: tuple[Row, ...]
    log_likelihoods: NDArray[np.float64]
    scores: NDArray[np.float64]
    enrolled: NDArray[np.bool_]
    enrolled_seconds: NDArray[np.float64]
    listed: Listed | None = None
    threshold: float | None = None
    handicaps: NDArray[np.float64] | None = None
    ranked_by_score: bool = False

    @property
    def ranking(self) -> NDArray[np.float64]:
        """What ranks the speakers, larger is better, (n_rows, n_speakers)."""
        return self.scores if self.ranked_by_score else self.log_likelihoods

    @cached_property
    def n_tests(self) -> int:
        """Recordings asked."""
        return 1 + max((row.test for row in self.rows), default=-1)

    @cached_property
    def test_of_row(self) -> NDArray[np.intp]:
        """Number of each row's recording, (n_rows,)."""
        return np.array([row.test for row in self.rows], dtype=np.intp)

    @cached_property
    def truth(self) -> NDArray[np.intp]:
        """Column of each row's own speaker, (n_rows,); −1 for a stranger."""
        columns = {name: column for column, name in enumerate(self.speakers)}
        result = np.full(len(self.rows), -1, dtype=np.intp)
        for number, row in enumerate(self.rows):
            column = columns.get(row.speaker or "", -1)
            if column >= 0 and not row.left_out and self.enrolled[row.round, column]:
                result[number] = column
        return result

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """Rows that could be judged, (n_rows,)."""
        return np.array([row.reason is None for row in self.rows], dtype=np.bool_)

    @cached_property
    def known(self) -> NDArray[np.intp]:
        """Rows of enrolled speakers, (n_known,)."""
        return np.flatnonzero(self.truth >= 0)

    @cached_property
    def strangers(self) -> NDArray[np.intp]:
        """Rows of strangers, (n_strangers,); none in a list of trials, where it is not said."""
        return np.flatnonzero((self.truth < 0) & (self.listed is None))

    @cached_property
    def ranks(self) -> NDArray[np.intp]:
        """Place of the true speaker, for the known rows, (n_known,); n_speakers + 1 where it has no score."""
        own = self.ranking[self.known, self.truth[self.known]]
        places = ranks(self.ranking[self.known], self.truth[self.known])
        return np.where(np.isneginf(own), len(self.speakers) + 1, places)

    @cached_property
    def acceptance(self) -> NDArray[np.float64]:
        """What is compared with the threshold: the best speaker's detection score less the row's handicap, (n_rows,)."""
        if not self.speakers:
            return np.full(len(self.rows), -np.inf)
        best = self.ranking.argmax(axis=1)
        scores: NDArray[np.float64] = self.scores[np.arange(len(self.rows)), best]
        return scores if self.handicaps is None else scores - self.handicaps

    @cached_property
    def named(self) -> NDArray[np.intp]:
        """Column of the speaker that each row is given, (n_rows,); −1 for none: refused, or not judged.

        Of equal best speakers a wrong one, as in :func:`speakerid.evaluation.decisions`.
        """
        best = self.ranking.argmax(axis=1) if self.speakers else np.full(len(self.rows), -1)
        best[self.known] = decisions(self.ranking[self.known], self.truth[self.known])
        refused = ~self.judged
        if self.threshold is not None:
            refused |= self.acceptance < self.threshold
        return np.where(refused, -1, best)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Rows that are answered rightly, (n_rows,): the own name for a known one, no name for a stranger."""
        return np.asarray(self.named == self.truth)

    @cached_property
    def trials(self) -> Listed:
        """The verification trials: those of the list, or every row against everybody enrolled in its round.

        Rows with their own speaker left out are no further trials.
        """
        if self.listed is not None:
            return self.listed
        rounds = np.array([row.round for row in self.rows], dtype=np.intp)
        asked = self.enrolled[rounds] & ~np.array([row.left_out for row in self.rows], dtype=np.bool_)[:, None]
        row, column = np.nonzero(asked)
        return Listed(row, column, self.truth[row] == column)

    @cached_property
    def detection(self) -> DetectionTrials:
        """Detection scores of the verification trials.

        Raises
        ------
        EmptySideError
            There are no target or no non-target trials.
        """
        trials = self.trials
        return DetectionTrials(self.scores[trials.row, trials.column], trials.target)

    @cached_property
    def ratios(self) -> DetectionTrials:
        """The same trials with a ratio of 1, log 0, for what could not be judged or enrolled: there is no evidence.

        Raises
        ------
        EmptySideError
            There are no target or no non-target trials.
        """
        scores = self.detection.scores
        return DetectionTrials(np.where(np.isneginf(scores), 0.0, scores), self.detection.is_target)

    @cached_property
    def clusters(self) -> tuple[str, ...]:
        """Which recordings are of one person, for resampling, n_tests labels.

        The speaker where it has a name, and in a list of trials what target trials say: recordings and models that they
        connect are of one person. Recordings of unknown speakers are each their own.
        """
        if self.listed is not None:
            return self._clusters_of_list(self.listed)
        labels = [""] * self.n_tests
        for row in self.rows:
            named = row.speaker not in (None, UNKNOWN) or row.speaker in self.speakers
            labels[row.test] = f"speaker {row.speaker}" if named else f"recording {row.test}"
        return tuple(labels)

    def _clusters_of_list(self, listed: Listed) -> tuple[str, ...]:
        n_models = len(self.speakers)
        rows, columns = listed.row[listed.target], listed.column[listed.target]
        graph = coo_array(
            (np.ones(len(rows)), (columns, n_models + self.test_of_row[rows])), shape=(n_models + self.n_tests,) * 2
        )
        _n, labels = connected_components(graph, directed=False)
        return tuple(f"person {label}" for label in labels[n_models:].tolist())
