"""How many components: criteria against scikit-learn's, the search against separately trained mixtures, and folds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixture_oracles import (
    TYPES,
    a_mixture,
    a_start,
    clusters,
    in_scikit_learn,
    seeded,
    some_frames,
    written_out_densities,
)

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures import GaussianMixture, aic, bic, frame_log_likelihoods, recording_folds, train, train_each
from speakerid.mixtures.criteria import aic_of, bic_of

# Criteria


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (4, 3), (16, 20)])
def test_criteria_are_scikit_learns(kind: str, k: int, d: int) -> None:
    mixture = a_mixture(k, d, 1, kind)
    X = some_frames(mixture, 300, 2)
    model = in_scikit_learn(mixture)
    assert bic(mixture, X) == pytest.approx(model.bic(X), rel=1e-9)
    assert aic(mixture, X) == pytest.approx(model.aic(X), rel=1e-9)


def test_criteria_by_hand() -> None:
    """A standard normal and frames 0 and 2: log L = -log 2π - 2; p = 2."""
    mixture, X = GaussianMixture([1.0], [[0.0]], [[1.0]]), np.array([[0.0], [2.0]])
    log_likelihood = -math.log(2 * math.pi) - 2
    assert bic(mixture, X) == pytest.approx(-2 * log_likelihood + 2 * math.log(2), rel=1e-14)
    assert aic(mixture, X) == pytest.approx(-2 * log_likelihood + 4, rel=1e-14)
    assert bic_of(-100.0, 7, 1000) == pytest.approx(200 + 7 * math.log(1000))
    assert aic_of(-100.0, 7) == 214.0


# The search


def three_gaussians(n: int, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Round, far apart, and in no symmetric position, so that every type and start finds them."""
    rng = seeded(seed)
    centres = np.array([[0.0, 0.0], [40.0, 5.0], [7.0, 60.0]])
    return centres[rng.choice(3, n, p=[0.5, 0.3, 0.2])] + rng.normal(0, 1, (n, 2))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", ["splitting", "kmeans", "random"])
def test_the_components_chosen_have_the_smallest_criterion(kind: Any, initialisation: Any) -> None:
    X = clusters(1500, 3, 5, 3, correlated=True)
    config = TrainingConfig(components="auto", covariance=kind, initialisation=initialisation, iterations=40)
    mixture, record = train(X, config)
    sizes = [k for k, _value in record.considered]
    values = [value for _k, value in record.considered]
    assert sizes == [2**i for i in range(len(sizes))]
    assert sizes[-1] <= 1500 // config.minimum_frames_per_component
    best = sizes[int(np.argmin(values))]
    assert record.components_asked == best
    assert record.components == mixture.n_components <= best
    assert bic(mixture, X) == pytest.approx(min(values), rel=1e-5)
    assert record.n_frames == 1500
    # the search ended because two in a row were worse, or at the end of what may be had
    worse = min(values[-2:]) > min(values)
    assert worse or 2 * sizes[-1] > 1500 // config.minimum_frames_per_component


@pytest.mark.parametrize("kind", TYPES)
def test_each_criterion_is_that_of_the_mixture_trained_alone(kind: Any) -> None:
    X = clusters(1200, 3, 4, 4, correlated=True)
    settings_: dict[str, Any] = {"covariance": kind, "iterations": 5, "tolerance": 0}
    _mixture, record = train(X, TrainingConfig(components="auto", **settings_), dtype=np.float64)
    assert len(record.considered) >= 3
    for k, value in record.considered:
        alone, alone_record = train(X, TrainingConfig(components=k, **settings_), dtype=np.float64)
        assert alone_record.considered == ()
        assert value == pytest.approx(bic(alone, X), rel=1e-9)


@pytest.mark.parametrize("kind", TYPES)
def test_three_gaussians_are_about_three(kind: Any) -> None:
    config = TrainingConfig(
        components="auto", covariance=kind, initialisation="kmeans", variance_floor=1e-4, iterations=100
    )
    for seed in range(5):
        X = three_gaussians(900, seed)
        mixture, _record = train(X, config)
        assert 3 <= mixture.n_components <= 4
        # wherever the truth is, the chosen one knows about as much of it
        assert frame_log_likelihoods(mixture, three_gaussians(2000, 100 + seed)).mean() > -4.2


@pytest.mark.parametrize("kind", TYPES)
def test_one_gaussian_is_one(kind: Any) -> None:
    X = seeded(5).normal(3.0, 2.0, (2000, 3))
    mixture, record = train(X, TrainingConfig(components="auto", covariance=kind))
    assert mixture.n_components == 1
    assert [k for k, _value in record.considered] == [1, 2, 4, 8, 16]
    single = written_out_densities(mixture, X).sum()
    assert record.considered[0][1] == pytest.approx(-2 * single + mixture.n_parameters * math.log(2000), rel=1e-6)


@pytest.mark.parametrize(("n", "sizes"), [(1, [1]), (8, [1]), (15, [1]), (16, [1, 2]), (35, [1, 2, 4])])
def test_few_frames_are_offered_few_components(n: int, sizes: list[int]) -> None:
    """And there are never fewer than one."""
    X = np.arange(n, dtype=np.float64)[:, None] ** 3  # so far apart that more components are always better
    config = TrainingConfig(components="auto", minimum_frames_per_component=8, variance_floor=1e-6)
    _mixture, record = train(X, config)
    assert [k for k, _value in record.considered] == sizes


def test_equal_frames_need_no_second_component() -> None:
    X = np.full((200, 2), 3.5)
    for kind in TYPES:
        mixture, record = train(X, TrainingConfig(components="auto", covariance=kind))  # type: ignore[arg-type]
        assert mixture.n_components == 1
        assert np.isfinite([value for _k, value in record.considered]).all()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_search_together_is_the_search_alone(kind: Any, dtype: Any) -> None:
    matrices = [clusters(n, 3, 4, n).astype(np.float32) for n in (700, 30, 1400, 9, 2500)]
    matrices.append(seeded(6).normal(0, 1, (400, 3)).astype(np.float32))
    broken = matrices[0].copy()
    broken[5, 1] = np.nan
    matrices.insert(2, broken)
    config = TrainingConfig(components="auto", covariance=kind, iterations=8)
    together = train_each(matrices, config, dtype=dtype)
    assert [isinstance(result, TrainingError) for result in together] == [i == 2 for i in range(7)]
    for X, result in zip(matrices, together, strict=True):
        if not isinstance(result, TrainingError):
            assert result == train(X, config, dtype=dtype)
    for jobs in (1, 2):
        again = train_each(matrices[::-1], config, dtype=dtype, jobs=jobs)[::-1]
        assert [r for r in again if not isinstance(r, TrainingError)] == [
            r for r in together if not isinstance(r, TrainingError)
        ]


def test_a_given_start_leaves_nothing_to_choose() -> None:
    X = clusters(400, 2, 3, 7)
    starts = [a_start(X, 3, 1), None]
    (given_, record), (_free, searched) = train_each([X, X], TrainingConfig(components="auto"), starts=starts)  # type: ignore[misc]
    assert given_.n_components == record.components_asked == 3
    assert record.considered == ()
    assert len(searched.considered) >= 3


# Folds


@given(
    n_frames=st.lists(st.integers(0, 5000), min_size=1, max_size=40),
    n_folds=st.integers(1, 12),
)
def test_recordings_are_dealt_to_folds_whole_and_evenly(n_frames: list[int], n_folds: int) -> None:
    folds = recording_folds(n_frames, n_folds)
    assert folds.shape == (len(n_frames),)
    assert np.issubdtype(folds.dtype, np.integer)
    used = min(n_folds, len(n_frames))
    assert set(folds.tolist()) == set(range(used))  # none is empty
    loads = np.array([sum(n for n, f in zip(n_frames, folds, strict=True) if f == fold) for fold in range(used)])
    assert loads.max() - loads.min() <= max(n_frames) + len(n_frames)
    np.testing.assert_array_equal(folds, recording_folds(tuple(n_frames), n_folds))


def test_folds_by_hand() -> None:
    np.testing.assert_array_equal(recording_folds([10, 40, 20, 30], 2), [0, 0, 1, 1])
    np.testing.assert_array_equal(recording_folds([5, 5, 5, 5], 2), [0, 1, 0, 1])
    np.testing.assert_array_equal(recording_folds([7, 9], 5), [1, 0])
    np.testing.assert_array_equal(recording_folds([0, 0, 0], 3), [0, 1, 2])
    assert recording_folds([], 3).shape == (0,)
