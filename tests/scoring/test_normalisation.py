"""Z, T, S and adaptive S-norm: by their definitions, and by what they are for."""

from __future__ import annotations

import numpy as np
import pytest

from speakerid.scoring.normalisation import adaptive_s_norm, s_norm, t_norm, z_norm

RNG = np.random.default_rng(5)
SCORES = RNG.normal(size=(4, 3))
MODELS = RNG.normal(size=(9, 3))
RECORDINGS = RNG.normal(size=(4, 7))


def test_by_hand() -> None:
    z, t = z_norm(SCORES, MODELS), t_norm(SCORES, RECORDINGS)
    for i in range(4):
        for j in range(3):
            assert z[i, j] == pytest.approx((SCORES[i, j] - MODELS[:, j].mean()) / MODELS[:, j].std())
            assert t[i, j] == pytest.approx((SCORES[i, j] - RECORDINGS[i].mean()) / RECORDINGS[i].std())
    np.testing.assert_allclose(s_norm(SCORES, MODELS, RECORDINGS), (z + t) / 2)


def test_adaptive_takes_the_nearest() -> None:
    nearest = np.sort(RECORDINGS, axis=1)[:, -3:]
    expected = (SCORES - nearest.mean(axis=1, keepdims=True)) / nearest.std(axis=1, keepdims=True)
    np.testing.assert_allclose(t_norm(SCORES, RECORDINGS, top=3), expected)
    everything = adaptive_s_norm(SCORES, MODELS, RECORDINGS, top=99)
    np.testing.assert_allclose(everything, s_norm(SCORES, MODELS, RECORDINGS))


def test_what_it_takes_out() -> None:
    """A model that fits everybody better, or a recording that fits every model better, changes nothing."""
    generous, easy = np.array([0.0, 2.0, -1.0]), np.array([[3.0], [0.0], [-2.0], [1.0]])
    scale = np.array([1.0, 4.0, 0.5])
    moved = z_norm(scale * SCORES + generous, scale * MODELS + generous)
    np.testing.assert_allclose(moved, z_norm(SCORES, MODELS))
    np.testing.assert_allclose(t_norm(SCORES + easy, RECORDINGS + easy), t_norm(SCORES, RECORDINGS))


def test_a_cohort_without_spread_is_only_taken_off() -> None:
    np.testing.assert_allclose(t_norm(SCORES, np.full((4, 5), 2.0)), SCORES - 2.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: z_norm(SCORES, MODELS[:, :2]), "for 3 models"),
        (lambda: t_norm(SCORES, RECORDINGS[:2]), "for 4 recordings"),
        (lambda: z_norm(SCORES, MODELS[:1]), "two recordings"),
        (lambda: t_norm(SCORES, RECORDINGS[:, :1]), "two models"),
        (lambda: t_norm(SCORES, RECORDINGS, top=1), "2 or more"),
    ],
)
def test_what_does_not_fit_is_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
