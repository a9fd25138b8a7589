"""Several mixtures trained together: the results of training each alone are the oracle, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_oracles import TYPES, a_start, clusters, seeded

from speakerid.config import TrainingConfig
from speakerid.errors import TrainingError
from speakerid.mixtures import frames, statistics, train, train_each, training
from speakerid.mixtures.frames import Frames

LENGTHS = [700, 3000, 40, 9, 701, 1400, 20, 1, 700, 5000]


def some_matrices(lengths: list[int], d: int = 5) -> list[np.ndarray[Any, Any]]:
    return [clusters(n, d, 4, seed, correlated=True).astype(np.float32) for seed, n in enumerate(lengths)]


def trained(results: list[Any]) -> list[Any]:
    return [result for result in results if not isinstance(result, TrainingError)]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("initialisation", ["splitting", "kmeans", "random"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_side_by_side_is_one_by_one_bit_for_bit(initialisation: Any, dtype: Any, kind: Any) -> None:
    """Different lengths, few frames, equal frames, and one that cannot be trained: none changes another."""
    matrices = some_matrices(LENGTHS)
    matrices.append(np.full((300, 5), 2.5, dtype=np.float32))
    broken = matrices[1].copy()
    broken[17, 2] = np.nan
    matrices.insert(3, broken)
    config = TrainingConfig(components=16, initialisation=initialisation, iterations=5, covariance=kind)
    together = train_each(matrices, config, dtype=dtype)
    for X, result in zip(matrices, together, strict=True):
        if isinstance(result, TrainingError):
            assert X is broken
            assert "frame 17" in str(result)
        else:
            assert result == train(X, config, dtype=dtype)
    assert len(trained(together)) == len(matrices) - 1
    order = seeded(1).permutation(len(matrices)).tolist()
    shuffled = train_each([matrices[i] for i in order], config, dtype=dtype)
    assert trained(shuffled) == trained([together[i] for i in order])


@pytest.mark.parametrize("kind", TYPES)
def test_from_twenty_frames_to_twenty_thousand(kind: Any) -> None:
    """Several sizes of tiles, and frames too many for one pack."""
    lengths = [20, 20000, 512, 513, 8191, 8192, 9000, 20, 100, 1000, 2000, 4000]
    matrices = some_matrices(lengths, d=3)
    assert len({Frames.of(X, kind, n_components=8).tile_size for X in matrices}) >= 5
    config = TrainingConfig(components=8, iterations=3, covariance=kind)
    together = train_each(matrices, config, jobs=1)
    assert together == [train(X, config, jobs=1) for X in matrices]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("n", [5, 40])
def test_the_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch, kind: Any, n: int) -> None:
    """Threads share the frames of one mixture, or take whole groups where there are many of those."""
    monkeypatch.setattr(statistics, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(training, "_SIDE_BY_SIDE", 4)
    matrices = some_matrices([(37 * i * i) % 1700 + 10 for i in range(n)], d=3)
    config = TrainingConfig(components=6, iterations=3, covariance=kind)
    expected = train_each(matrices, config, jobs=1)
    for jobs in (2, 3, None):
        assert train_each(matrices, config, jobs=jobs) == expected
    assert [train(X, config, jobs=2) for X in matrices] == expected


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_that_are_not_kept_give_the_same(monkeypatch: pytest.MonkeyPatch, kind: Any, dtype: Any) -> None:
    matrices = some_matrices(LENGTHS)
    config = TrainingConfig(components=8, iterations=4, covariance=kind)
    expected = train_each(matrices, config, dtype=dtype)
    monkeypatch.setattr(frames, "_CACHE_BYTES", 0)
    assert train_each(matrices, config, dtype=dtype) == expected
    monkeypatch.setattr(frames, "_CACHE_BYTES", 40_000)  # some are kept and others not
    assert train_each(matrices, config, dtype=dtype) == expected
    monkeypatch.setattr(statistics, "_WORTH_A_THREAD", 1)
    assert train_each(matrices, config, dtype=dtype, jobs=2) == expected


@pytest.mark.parametrize("kind", ["tied", "full"])
def test_a_floor_that_binds_at_one_leaves_its_neighbours_alone(kind: Any) -> None:
    """A floor of the frames' own covariance: eigenvalues lie on it but for rounding, and rounding is not shared."""
    matrices = [seeded(i).normal(0, 1, (60, 3)) for i in range(160)]
    config = TrainingConfig(components=1, covariance=kind, variance_floor=1.0, iterations=3, tolerance=0)
    together = train_each(matrices, config, dtype=np.float64)
    assert together == [train(X, config, dtype=np.float64) for X in matrices]


@given(
    kind=st.sampled_from(TYPES),
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=20),
    d=st.integers(1, 6),
    k=st.sampled_from([1, 2, 5, 16]),
    company=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_any_company_is_like_none(kind: Any, lengths: list[int], d: int, k: int, company: int) -> None:
    matrices = some_matrices(lengths, d)
    config = TrainingConfig(components=k, covariance=kind, iterations=3)
    together = train_each(matrices, config)
    assert together == train_each(matrices[:company], config) + train_each(matrices[company:], config)
    assert together[-1] == train(matrices[-1], config)


def test_frames_of_several_kinds_are_trained_together() -> None:
    X = clusters(200, 3, 2, 1)
    matrices: list[Any] = [X, X.astype(np.float32), np.round(X).astype(int), X.tolist(), np.asfortranarray(X), X[::-1]]
    together = train_each(matrices)
    assert together == [train(Y) for Y in matrices]


def test_each_has_its_own_start_and_generator() -> None:
    matrices = some_matrices([300, 400, 500])
    starts = [None, a_start(matrices[1], 3, 1), None]
    config = TrainingConfig(components=4, initialisation="random", seed=1)
    together = train_each(matrices, config, starts=starts, generators=[seeded(5), None, None])
    assert together[0] == train(matrices[0], config, generator=seeded(5))
    assert together[1] == train(matrices[1], config, start=starts[1])
    assert together[2] == train(matrices[2], config)
    assert together[0] != train(matrices[0], config)


def test_as_many_starts_and_generators_as_matrices() -> None:
    X = clusters(100, 2, 2, 1)
    with pytest.raises(ValueError, match="zip"):
        train_each([X, X], starts=[None])
    with pytest.raises(ValueError, match="zip"):
        train_each([X], generators=[None, None])


def test_an_error_of_one_is_its_own() -> None:
    X = clusters(100, 2, 2, 1)
    wrong: list[Any] = [np.zeros((0, 2)), np.zeros(3), np.full((9, 2), np.nan)]
    results = train_each([X, *wrong, X], starts=[a_start(X, 2, 1), *[None] * 3, a_start(X, 2, 1, "full")])
    assert [type(result) is TrainingError for result in results] == [False, True, True, True, True]
    assert results[0] == train(X, start=a_start(X, 2, 1))


def test_different_numbers_of_features_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different numbers of features cannot be trained together: \[2, 3\]"):
        train_each([np.zeros((5, 2)), np.zeros((5, 3))])


def test_nothing_to_train_is_nothing() -> None:
    assert train_each([], TrainingConfig()) == []
