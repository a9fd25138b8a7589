"""Several voices in a recording that was to be of one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from speakerid.scoring import Turn, several_voices
from speakerid.scoring.voices import _best_paths
from speakerid.workflows.shipped import shipped_calibration

SPEAKERS, BLOCK, FRAME_SECONDS, EXPECTED = 6, 50, 0.01, 3.0
A, B = 2, 4


def blocks(*voices: tuple[int | None, int], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Half-second blocks of speakers, or of strangers, as they are on real speech: nats a frame, about 3 for one's own."""
    rng = np.random.default_rng(seed)
    rows = []
    for speaker, count in voices:
        mean = rng.normal(-0.3, 0.4, SPEAKERS)
        if speaker is not None:
            mean[speaker] = EXPECTED
        rows.append(mean + rng.normal(0, 0.5, (count, SPEAKERS)))
    ratios = np.concatenate(rows) * BLOCK
    return ratios, np.full(len(ratios), BLOCK)


def asked(ratios: np.ndarray, frames: np.ndarray) -> tuple[Turn, ...]:
    expected = np.full(ratios.shape[1], EXPECTED)
    return several_voices(ratios, frames, FRAME_SECONDS, shipped_calibration(), expected)


def test_one_voice_is_one_voice() -> None:
    for seed in range(50):
        assert asked(*blocks((A, 8 + seed), seed=seed)) == ()


def test_a_stranger_alone_is_not_two_voices() -> None:
    for seed in range(50):
        assert asked(*blocks((None, 8 + seed), seed=seed)) == ()


def test_two_speakers_are_named_with_their_blocks() -> None:
    assert asked(*blocks((A, 12), (B, 8))) == (Turn(A, 0, 12), Turn(B, 12, 20))


def test_they_may_take_turns() -> None:
    turns = asked(*blocks((A, 6), (B, 5), (A, 6), (B, 7)))
    assert [turn.speaker for turn in turns] == [A, B, A, B]
    assert [turn.first for turn in turns] == [0, 6, 11, 17]
    assert turns[-1].end == 24


def test_a_speaker_and_somebody_else() -> None:
    assert asked(*blocks((A, 12), (None, 10))) == (Turn(A, 0, 12), Turn(None, 12, 22))


def test_a_single_enrolled_speaker_and_somebody_else() -> None:
    ratios, frames = blocks((A, 12), (None, 10))
    ratios[12:] -= 2.0 * BLOCK  # alone, it takes more to be clearly somebody else
    assert asked(ratios[:, [A]], frames) == (Turn(0, 0, 12), Turn(None, 12, 22))


def test_a_voice_that_is_heard_too_briefly_is_not_noticed() -> None:
    assert asked(*blocks((A, 12), (B, 2))) == ()


def test_a_recording_that_is_too_short_is_not_judged() -> None:
    ratios, frames = blocks((A, 4), (B, 3))
    assert asked(ratios, frames) == ()
    longer, frames = blocks((A, 4), (B, 4))
    assert {turn.speaker for turn in asked(longer, frames)} == {A, B}


@pytest.mark.parametrize("switch", [0.0, 0.7, 3.0])
def test_the_best_paths_are_the_best_of_all(switch: float) -> None:
    gains = np.random.default_rng(6).normal(0, 1, (9, 4))
    taken, total = _best_paths(gains, switch)
    every = np.array(list(itertools.product((0, 1), repeat=len(gains))))
    changes = np.abs(np.diff(every, axis=1)).sum(axis=1)
    for column in range(gains.shape[1]):
        values = every @ gains[:, column] - switch * changes
        assert total[column] == pytest.approx(values.max())
        np.testing.assert_array_equal(taken[:, column], every[values.argmax()].astype(bool))
