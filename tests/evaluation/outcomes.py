"""Outcomes made up for tests: scores of a system of known quality, with the truth."""

from __future__ import annotations

import numpy as np

from speakerid.evaluation.outcome import Listed, Outcome, Row


def relative(log_likelihoods: np.ndarray) -> np.ndarray:
    """Each score less the best of the others in its row; −inf stays."""
    result = np.full_like(log_likelihoods, -np.inf)
    for i, row in enumerate(log_likelihoods):
        for j in np.flatnonzero(np.isfinite(row)):
            others = np.delete(row, j)
            others = others[np.isfinite(others)]
            result[i, j] = row[j] - (others.max() if len(others) else 0.0)
    return result


def made_up_outcome(
    *,
    seed: int,
    n_speakers: int = 6,
    tests_each: int = 10,
    strangers: int = 0,
    quality: float = 3.0,
    undecided: int = 0,
    left_out: bool = False,
    listed: bool = False,
    threshold: float | None = None,
) -> Outcome:
    """Scores are normal; the own speaker's are `quality` deviations better."""
    rng = np.random.default_rng(seed)
    speakers = tuple(f"speaker {i:03d}" for i in range(n_speakers))
    rows, truth = [], []
    for i in range(n_speakers * tests_each + strangers):
        own = i // tests_each if i < n_speakers * tests_each else -1
        lost = i % 17 == 0 and i // 17 < undecided
        rows.append(
            Row(
                test=i, path=f"tests/{i:04d}.wav",
                speaker=None if listed else speakers[own] if own >= 0 else "unknown",
                reason="too_short" if lost else None,
                message=f"tests/{i:04d}.wav: only 0.05 s of speech" if lost else None,
                speech_seconds=0.05 if lost else float(rng.uniform(0.4, 12)), duration_seconds=13.0,
            )
        )  # fmt: skip
        truth.append(own)
    log_likelihoods = rng.normal(-50, 1, (len(rows), n_speakers)).astype(np.float32)
    for i, own in enumerate(truth):
        if own >= 0:
            log_likelihoods[i, own] += quality
        if rows[i].reason:
            log_likelihoods[i] = -np.inf
    if left_out:
        again = log_likelihoods.copy()
        again[np.arange(len(truth)), truth] = -np.inf
        log_likelihoods = np.concatenate([log_likelihoods, again])
        rows += [Row(test=r.test, path=r.path, speaker=r.speaker, left_out=True, reason=r.reason, message=r.message,
                     speech_seconds=r.speech_seconds, duration_seconds=r.duration_seconds) for r in rows]  # fmt: skip
    trials = None
    if listed:
        row = rng.integers(len(truth), size=4 * len(truth))
        column = np.where(rng.random(len(row)) < 0.4, np.array(truth)[row], rng.integers(n_speakers, size=len(row)))
        trials = Listed(row, column, np.array(truth)[row] == column)
    return Outcome(
        speakers=speakers,
        rows=tuple(rows),
        log_likelihoods=log_likelihoods,
        scores=relative(log_likelihoods),
        enrolled=np.ones((1, n_speakers), dtype=np.bool_),
        enrolled_seconds=rng.uniform(5, 40, (1, n_speakers)),
        listed=trials,
        threshold=threshold,
    )
