"""Windows against plain sums, and what is gained by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.config import TimelineConfig
from speakerid.scoring.gains import Gains
from speakerid.scoring.windows import HopSums, WindowScores, WindowSums
from speakerid.workflows.shipped import shipped_calibration


def hops(n: int, seed: int, n_speakers: int = 3) -> HopSums:
    rng = np.random.default_rng(seed)
    speech = rng.integers(0, 11, n).astype(np.float64)
    silence = np.stack([10 - speech, -speech], axis=1)
    ratios = rng.normal(size=(n, n_speakers)) * speech[:, None]
    return HopSums(ratios, -50 * speech, speech, silence, np.full(n, 10.0))


@given(st.integers(1, 60), st.integers(1, 20), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_windows_are_the_sums_of_the_hops_around(n: int, width: int, sizes: list[int]) -> None:
    given_hops = hops(n, n)
    windows = WindowSums(width)
    found, middles, start = [], [], 0
    while start < n:
        size = sizes[start % len(sizes)]
        for middle, around in windows.push(given_hops[start : start + size]):
            middles.append(middle)
            found.append(around)
        start += size
    for middle, around in windows.finish():
        middles.append(middle)
        found.append(around)
    assert np.array_equal(HopSums.joined(middles).ratios, given_hops.ratios)
    sums = HopSums.joined(found)
    for i in range(n):
        part = slice(max(i - width // 2, 0), i + (width - 1) // 2 + 1)
        np.testing.assert_allclose(sums.ratios[i], given_hops.ratios[part].sum(axis=0), atol=1e-12)
        assert sums.speech[i] == given_hops.speech[part].sum()
        assert sums.frames[i] == given_hops.frames[part].sum()


def test_scores_are_means_over_the_speech_and_nan_without_any() -> None:
    windows = HopSums(
        np.array([[20.0, -10.0], [0.0, 0.0]]), np.array([-500.0, 0.0]), np.array([10.0, 0.0]),
        np.array([[5.0, -5.0], [20.0, 0.0]]), np.array([20.0, 20.0]),
    )  # fmt: skip
    scores = WindowScores.of(3.0, 0.1, windows, 0.01)
    np.testing.assert_allclose(scores.centres, [3.05, 3.15])
    np.testing.assert_allclose(scores.speech_seconds, [0.1, 0.0])
    np.testing.assert_allclose(scores.ratios[0], [2.0, -1.0])
    assert np.isnan(scores.ratios[1]).all()
    assert np.isnan(scores.world[1])
    np.testing.assert_allclose(scores.silence, [0.0, 1.0])
    assert len(WindowScores.joined([scores, scores])) == 4
    assert WindowScores.none(7).ratios.shape == (0, 7)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        WindowSums(0)


def gains(*, closed_set: bool = False, calibrated: bool = True) -> Gains:
    calibration = shipped_calibration() if calibrated else None
    return Gains(TimelineConfig(), 0.01, np.full(3, 3.0), calibration, 1.5, closed_set=closed_set)


def one(ratios: list[float], speech: float, silence: tuple[float, float]) -> tuple[HopSums, HopSums]:
    """A hop of 0.1 s in a window that is everywhere like it."""

    def sums(n: float) -> HopSums:
        return HopSums(
            n * speech * np.array([ratios]),
            np.zeros(1),
            np.array([n * speech]),
            n * np.array([silence]),
            np.array([n * 10]),
        )

    return sums(1), sums(15)


def test_who_fits_gains_most_and_nobody_where_none_does() -> None:
    known = gains()(*one([4.0, 0.2, -0.5], 10, (0.0, -10.0)))[0]
    assert known.argmax() == 0
    assert known[0] == 0
    strange = gains()(*one([0.1, 0.0, -0.5], 10, (0.0, -10.0)))[0]
    assert strange.argmax() == 3
    assert strange[-1] == pytest.approx(-10 * 0.1)
    # of a window's evidence a hop has its share
    assert known.min() >= -8 * 0.1 / 1.5 - 2.001


def test_in_a_closed_set_nobody_is_unknown() -> None:
    assert gains(closed_set=True).silence == 3
    assert gains().silence == 4
    assert gains(calibrated=False).silence == 3
    uncalibrated = gains(calibrated=False)(*one([4.0, 0.2, -0.5], 10, (0.0, -10.0)))[0]
    assert uncalibrated.argmax() == 0
    assert uncalibrated[1] == pytest.approx(-8 * 0.1 / 1.5)


def test_a_pause_of_the_longest_length_gains_what_coming_back_costs() -> None:
    settings, state = TimelineConfig(), gains()
    row = state(*one([0.0, 0.0, 0.0], 0, (10.0, 0.0)))[0]
    assert row[:-1].tolist() == [0.0] * 4
    assert row[-1] * 10 * settings.longest_pause_seconds == pytest.approx(settings.change_cost)
    assert state.costs()[0] == settings.change_cost
    assert state.shortest(0.1).tolist() == [5, 5, 5, 5, 1]
