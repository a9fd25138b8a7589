"""All speakers at once are the speakers one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import speakerid.scoring.stack as module
from speakerid.mixtures import GaussianMixture, frame_log_likelihoods
from speakerid.scoring import MixtureStack

WIDTH = 4
TYPES = ("diagonal", "spherical", "tied", "full")


def a_speaker(
    k: int, seed: int, *, offset: float = 0.0, d: int = WIDTH, kind: str = "diagonal", scale: float = 1.0
) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    means = offset + scale * rng.normal(0, 2, (k, d))
    weights = rng.dirichlet(np.full(k, 3.0))
    if kind == "diagonal":
        covariances = rng.uniform(0.2, 2.0, (k, d))
    elif kind == "spherical":
        covariances = rng.uniform(0.2, 2.0, k)
    else:
        factors = rng.normal(0, 0.5, (k, d, d))
        covariances = factors @ factors.swapaxes(1, 2) + 0.4 * np.eye(d)
        if kind == "tied":
            covariances = covariances[0]
    return GaussianMixture(weights, means, scale**2 * covariances, kind)


def one_by_one(speakers: list[GaussianMixture], X: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([frame_log_likelihoods(speaker, X) for speaker in speakers], axis=1)


def frames(n: int, seed: int, *, offset: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(offset, 3, (n, WIDTH))


SIZES = [3, 1, 8, 3, 5, 1, 16, 8]
SPEAKERS = [a_speaker(k, seed) for seed, k in enumerate(SIZES)]


@given(
    kind=st.sampled_from(TYPES),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    n=st.integers(1, 300),
    seed=st.integers(0, 10000),
)
@settings(max_examples=80, deadline=None)
def test_each_column_is_its_mixtures_likelihood(kind: str, sizes: list[int], n: int, seed: int) -> None:
    speakers = [a_speaker(k, seed + i, kind=kind) for i, k in enumerate(sizes)]
    X = frames(n, seed)
    scores = MixtureStack(speakers).frame_log_likelihoods(X)
    expected = one_by_one(speakers, X)
    assert scores.shape == (n, len(sizes))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("given_as", [np.float32, np.float64])
def test_scores_far_from_the_origin(kind: str, offset: float, given_as: Any) -> None:
    speakers = [a_speaker(k, seed, offset=offset, kind=kind) for seed, k in enumerate(SIZES)]
    X = frames(500, 1, offset=offset).astype(given_as)
    expected = one_by_one(speakers, X)
    scores = MixtureStack(speakers).frame_log_likelihoods(X)
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=5e-4)
    means = MixtureStack(speakers).mean_log_likelihoods(X)
    np.testing.assert_allclose(means, expected.mean(axis=0), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scores_in_other_units(kind: str, scale: float) -> None:
    speakers = [a_speaker(k, seed, kind=kind, scale=scale) for seed, k in enumerate(SIZES)]
    X = scale * frames(300, 8)
    np.testing.assert_allclose(
        MixtureStack(speakers).frame_log_likelihoods(X), one_by_one(speakers, X), rtol=1e-5, atol=5e-4
    )


@pytest.mark.parametrize("kind", TYPES)
def test_the_mean_is_the_mean_over_the_frames(kind: str) -> None:
    stack = MixtureStack([a_speaker(k, seed, kind=kind) for seed, k in enumerate(SIZES)])
    X = frames(777, 2)
    means = stack.mean_log_likelihoods(X)
    assert means.shape == (8,)
    assert means.dtype == np.float64
    np.testing.assert_allclose(means, stack.frame_log_likelihoods(X).mean(axis=0, dtype=np.float64), rtol=1e-6)
    twice = stack.mean_log_likelihoods(np.concatenate([X, X]))
    np.testing.assert_allclose(twice, means, rtol=1e-6)
    one = stack.mean_log_likelihoods(X[:1])
    np.testing.assert_allclose(one, stack.frame_log_likelihoods(X[:1])[0], rtol=1e-6)


@given(order=st.permutations(range(len(SPEAKERS))))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_speakers_does_not_matter(order: list[int]) -> None:
    X = frames(200, 3)
    means = MixtureStack(SPEAKERS).mean_log_likelihoods(X)
    shuffled = MixtureStack([SPEAKERS[i] for i in order]).mean_log_likelihoods(X)
    np.testing.assert_allclose(shuffled, means[order], rtol=1e-6)
    assert order[int(shuffled.argmax())] == int(means.argmax())


def test_other_speakers_do_not_change_a_score() -> None:
    X = frames(300, 4)
    together = MixtureStack(SPEAKERS).mean_log_likelihoods(X)
    for i, speaker in enumerate(SPEAKERS):
        assert MixtureStack([speaker]).mean_log_likelihoods(X)[0] == pytest.approx(together[i], rel=1e-5)


def test_the_same_speaker_twice_has_the_same_score() -> None:
    scores = MixtureStack([SPEAKERS[0], SPEAKERS[2], SPEAKERS[0]]).frame_log_likelihoods(frames(100, 5))
    np.testing.assert_allclose(scores[:, 0], scores[:, 2], rtol=1e-6)


def test_frames_drawn_from_a_speaker_score_best_for_it() -> None:
    for i, speaker in enumerate(SPEAKERS):
        rng = np.random.default_rng(6 + i)
        k = rng.choice(speaker.n_components, 400, p=speaker.weights)
        X = speaker.means[k] + np.sqrt(speaker.variances[k]) * rng.standard_normal((400, WIDTH))
        assert int(MixtureStack(SPEAKERS).mean_log_likelihoods(X).argmax()) == i


@pytest.mark.parametrize("kind", TYPES)
def test_small_tiles_and_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    X = frames(1000, 7)
    speakers = [a_speaker(k, seed, kind=kind) for seed, k in enumerate(SIZES)]
    stack = MixtureStack(speakers)
    whole, means = stack.frame_log_likelihoods(X), stack.mean_log_likelihoods(X)
    monkeypatch.setattr(module, "TILE_FRAMES", 7)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 1)  # a speaker a block
    for small in (stack, MixtureStack(speakers)):
        np.testing.assert_allclose(small.frame_log_likelihoods(X), whole, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(small.mean_log_likelihoods(X), means, rtol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_many_speakers_of_mixed_sizes(kind: str) -> None:
    """More than one block holds, of three sizes in no order: every score lands in its own column."""
    sizes = np.random.default_rng(9).choice([1, 16, 32], 200).tolist()
    speakers = [a_speaker(k, 1000 + i, kind=kind) for i, k in enumerate(sizes)]
    X = frames(60, 10)
    stack = MixtureStack(speakers)
    expected = one_by_one(speakers, X)
    np.testing.assert_allclose(stack.frame_log_likelihoods(X), expected, rtol=1e-5, atol=5e-4)
    np.testing.assert_allclose(stack.mean_log_likelihoods(X), expected.mean(axis=0), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("n", [1, 511, 512, 513, 3000])
def test_the_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch, kind: str, n: int) -> None:
    stack = MixtureStack([a_speaker(k, seed, kind=kind) for seed, k in enumerate(SIZES)])
    X = frames(n, 11)
    expected = stack.mean_log_likelihoods(X)
    monkeypatch.setattr(module, "_WORTH_A_THREAD", 1)
    for jobs in (1, 2, 3, None):
        np.testing.assert_array_equal(stack.mean_log_likelihoods(X, jobs=jobs), expected)


def test_nothing_to_score_against() -> None:
    with pytest.raises(ValueError, match="no mixtures"):
        MixtureStack([])


def test_mixtures_of_different_widths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different numbers of features: \[4, 5\]"):
        MixtureStack([a_speaker(2, 1), a_speaker(2, 2, d=5)])


@pytest.mark.parametrize("kind", TYPES)
def test_mixtures_of_different_types_are_refused(kind: str) -> None:
    for other in sorted(set(TYPES) - {kind}):
        with pytest.raises(ValueError, match="different covariance types") as caught:
            MixtureStack([a_speaker(2, 1, kind=kind), a_speaker(2, 2, kind=other)])
        assert str(sorted([kind, other])) in str(caught.value)


def test_nothing_to_score() -> None:
    stack = MixtureStack(SPEAKERS)
    with pytest.raises(ValueError, match="no frames"):
        stack.mean_log_likelihoods(np.zeros((0, WIDTH)))
    assert stack.frame_log_likelihoods(np.zeros((0, WIDTH))).shape == (0, 8)


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 3), (2, 3, 4)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    stack = MixtureStack(SPEAKERS)
    for score in (stack.frame_log_likelihoods, stack.mean_log_likelihoods):
        with pytest.raises(ValueError, match=r"expected frames of shape \(n, 4\), got"):
            score(np.zeros(shape))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("step", [module.TILE_FRAMES, 3 * module.TILE_FRAMES])
def test_frames_in_blocks_of_tiles_have_the_scores_of_the_whole_bit_for_bit(kind: str, step: int) -> None:
    stack = MixtureStack([a_speaker(k, seed, kind=kind) for seed, k in enumerate((16, 16, 4))])
    X = frames(1000, 5)
    whole = stack.frame_log_likelihoods(X)
    parts = [stack.frame_log_likelihoods(X[i : i + step]) for i in range(0, len(X), step)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
