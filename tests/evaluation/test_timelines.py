"""Errors of timelines: by hand, by pyannote.metrics, by counting short frames, and by what must hold for all of them."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.evaluation.timelines import (
    TimelineErrors,
    Turn,
    boundary_errors,
    in_pieces,
    interval,
    score_timeline,
)

GOLDEN = json.loads(Path(__file__).with_name("golden_timelines.json").read_text(encoding="utf-8"))
COMPONENTS = ("total", "missed", "false_alarm", "confusion", "correct")
SECONDS = (*COMPONENTS, "overlap", "errors_in_overlap")
# eighths of a second are exact in binary, and so are their sums
FRAME = 0.125


def same(first: TimelineErrors, second: TimelineErrors) -> None:
    for name in SECONDS:
        assert getattr(first, name) == pytest.approx(getattr(second, name), abs=1e-9), name
    assert dict(first.confusions) == pytest.approx(dict(second.confusions), abs=1e-9)


# Against pyannote.metrics


def test_the_golden_scenarios_show_the_differences() -> None:
    """Otherwise agreeing with them would mean little."""
    scenarios = GOLDEN["scenarios"]
    assert len(scenarios) >= 40
    assert GOLDEN["made_with"]["pyannote.metrics"]
    for some in ("collar", "skip_overlap", "evaluated"):
        assert 10 < sum(bool(one[some]) for one in scenarios) < len(scenarios) - 10
    for mapping in ("names", "best"):
        for component in COMPONENTS:
            assert sum(one[mapping][component] > 0.1 for one in scenarios) > 20
    assert sum(one["names"]["confusion"] > one["best"]["confusion"] + 0.1 for one in scenarios) > 20


@pytest.mark.parametrize("number", range(len(GOLDEN["scenarios"])))
def test_pyannote_agrees(number: int) -> None:
    one = GOLDEN["scenarios"][number]
    options = {name: one[name] for name in ("collar", "skip_overlap", "evaluated")}
    names = score_timeline(one["reference"], one["hypothesis"], known=one["known"], **options)
    best = score_timeline(one["reference"], one["hypothesis"], mapping="best", **options)
    for found, expected in ((names, one["names"]), (best, one["best"])):
        assert {name: getattr(found, name) for name in COMPONENTS} == pytest.approx(expected, abs=1e-6)


# By hand


def test_each_component() -> None:
    reference = [("a", 0, 10), ("b", 12, 20)]
    hypothesis = [("a", 1, 6), ("c", 6, 11), ("b", 12, 20)]
    errors = score_timeline(reference, hypothesis)
    assert errors == TimelineErrors(18.0, 1.0, 1.0, 4.0, 13.0, 0.0, 0.0, {("a", "c"): 4.0})
    assert errors.errors == 6.0
    assert errors.rate == 6 / 18


def test_overlap() -> None:
    reference = [("a", 0, 10), ("b", 8, 14)]
    hypothesis = [("a", 0, 9), ("c", 9, 14)]
    errors = score_timeline(reference, hypothesis)
    assert errors.total == 16.0
    assert errors.overlap == 4.0
    # 8 to 9: b is missed; 9 to 10: c is one of a and b, the other is missed
    assert (errors.missed, errors.confusion, errors.errors_in_overlap) == (2.0, 5.0, 3.0)
    assert errors.confusions == {("a", "c"): 0.5, ("b", "c"): 4.5}
    without = score_timeline(reference, hypothesis, skip_overlap=True)
    assert (without.total, without.missed, without.confusion) == (12.0, 0.0, 4.0)
    assert (without.overlap, without.errors_in_overlap) == (0.0, 0.0)


def test_those_who_agree_are_paired_first() -> None:
    reference = [("a", 0, 6), ("b", 0, 6), ("c", 0, 6)]
    hypothesis = [("b", 0, 6), ("x", 0, 6), ("y", 0, 6)]
    errors = score_timeline(reference, hypothesis)
    assert (errors.correct, errors.confusion) == (6.0, 12.0)
    assert errors.confusions == {(one, other): 3.0 for one in "ac" for other in "xy"}


def test_the_collar_is_on_each_side_of_boundaries_of_the_reference() -> None:
    reference = [("a", 2, 8)]
    hypothesis = [("a", 1, 5), ("b", 5, 10)]
    errors = score_timeline(reference, hypothesis, collar=0.5)
    assert (errors.total, errors.correct, errors.confusion) == (5.0, 2.5, 2.5)  # from 2.5 to 7.5; none at 5
    assert errors.false_alarm == 2.0  # 1 to 1.5 and 8.5 to 10
    assert score_timeline(reference, hypothesis, collar=3).total == 0
    # a turn in two parts has no boundary in the middle
    assert score_timeline([("a", 2, 5), ("a", 5, 6), ("a", 5.5, 8)], hypothesis, collar=0.5) == errors
    # but a change of speaker has
    assert score_timeline([("a", 2, 5), ("b", 5, 8)], hypothesis, collar=0.5).total == 4.0


def test_evaluated_stretches() -> None:
    reference, hypothesis = [("a", 0, 10)], [("a", 5, 20)]
    whole = score_timeline(reference, hypothesis)
    assert (whole.missed, whole.false_alarm) == (5.0, 10.0)
    part = score_timeline(reference, hypothesis, evaluated=[(11, 12), (4, 7), (6, 8), (8, 8)])
    assert (part.total, part.missed, part.correct, part.false_alarm) == (4.0, 1.0, 3.0, 1.0)
    nothing = score_timeline(reference, hypothesis, evaluated=[])
    assert nothing == TimelineErrors()
    assert math.isnan(nothing.rate)
    # an edge of a stretch is no boundary of the reference
    assert score_timeline(reference, hypothesis, evaluated=[(4, 8)], collar=1).total == 4.0


def test_speakers_who_are_not_enrolled() -> None:
    reference = [("a", 0, 4), ("x", 4, 8), ("y", 6, 8)]
    hypothesis = [("a", 0, 4), ("unknown", 4, 8)]
    everybody = score_timeline(reference, hypothesis)
    assert (everybody.correct, everybody.confusion, everybody.missed) == (4.0, 4.0, 2.0)
    assert everybody.confusions == {("x", "unknown"): 3.0, ("y", "unknown"): 1.0}
    enrolled = score_timeline(reference, hypothesis, known=["a", "b"])
    assert (enrolled.total, enrolled.correct, enrolled.confusion, enrolled.missed) == (10.0, 8.0, 0.0, 2.0)
    assert enrolled.overlap == 4.0
    assert score_timeline(reference, hypothesis, known=()).confusions == {("unknown", "a"): 4.0}
    assert score_timeline(reference, [("?", 4, 8)], known=["a"], unknown="?").correct == 4.0


def test_the_best_mapping_is_one_to_one() -> None:
    reference = [("a", 0, 10), ("b", 10, 16)]
    hypothesis = [("1", 0, 6), ("2", 6, 10), ("1", 10, 13), ("2", 13, 16)]
    # 1 is a for 6 s or b for 3, 2 is a for 4 or b for 3: 6 + 3 is most
    errors = score_timeline(reference, hypothesis, mapping="best")
    assert (errors.correct, errors.confusion) == (9.0, 7.0)
    assert errors.confusions == {("a", "2"): 4.0, ("b", "1"): 3.0}


def test_two_unknown_speakers_at_once_are_one_chance_for_a_label() -> None:
    reference = [("x", 0, 4), ("y", 0, 4), ("a", 4, 9)]
    errors = score_timeline(reference, [("1", 0, 9)], mapping="best", known=["a"])
    assert (errors.total, errors.correct) == (13.0, 5.0)  # 1 is a: 5 s are more than 4, though two spoke then


def test_the_best_mapping_is_of_what_is_scored() -> None:
    """md-eval would take the mapping of all that is evaluated, where x is a."""
    reference = [("a", 0, 10), ("b", 0, 10), ("b", 12, 18)]
    hypothesis = [("x", 1, 5), ("a", 5, 10), ("x", 12, 15), ("a", 15, 18)]
    errors = score_timeline(reference, hypothesis, mapping="best", skip_overlap=True)
    assert (errors.total, errors.correct) == (6.0, 3.0)


@pytest.mark.parametrize("mapping", ["names", "best"])
def test_nobody_speaks(mapping: Any) -> None:
    assert score_timeline([], [], mapping=mapping) == TimelineErrors()
    assert in_pieces([], [], mapping=mapping) == ()
    silence = score_timeline([], [("a", 0, 5), ("a", 7, 7)], mapping=mapping)
    assert silence.false_alarm == 5.0
    assert math.isnan(silence.rate)
    deaf = score_timeline([("a", 0, 5), ("b", 1, 1)], [], mapping=mapping, collar=1)
    assert (deaf.total, deaf.missed, deaf.rate) == (3.0, 3.0, 1.0)


def test_recordings_add() -> None:
    first = score_timeline([("a", 0, 4)], [("b", 0, 2), ("c", 2, 4)])
    second = score_timeline([("a", 0, 8), ("b", 6, 8)], [("b", 1, 9)])
    both = sum((first, second), TimelineErrors())
    assert both == TimelineErrors(14.0, 3.0, 1.0, 9.0, 2.0, 4.0, 2.0, {("a", "b"): 7.0, ("a", "c"): 2.0})
    assert both.rate == 13 / 14
    assert first.confusions == {("a", "b"): 2.0, ("a", "c"): 2.0}  # as it was


# By counting frames


TURN = st.tuples(st.sampled_from("abcd"), st.integers(0, 60), st.integers(0, 24)).map(
    lambda turn: (turn[0], turn[1] * FRAME, (turn[1] + turn[2]) * FRAME)
)
HEARD = st.tuples(st.sampled_from(["a", "b", "c", "unknown"]), st.integers(0, 60), st.integers(0, 24)).map(
    lambda turn: (turn[0], turn[1] * FRAME, (turn[1] + turn[2]) * FRAME)
)
TURNS = st.lists(TURN, max_size=10)
HEARD_TURNS = st.lists(HEARD, max_size=10)
STRETCHES = st.lists(
    st.tuples(st.integers(0, 70), st.integers(0, 30)).map(lambda part: (part[0] * FRAME, sum(part) * FRAME)), max_size=3
)
OPTIONS = st.fixed_dictionaries(
    {
        "collar": st.sampled_from([0.0, 0.125, 0.5]),
        "skip_overlap": st.booleans(),
        "evaluated": st.none() | STRETCHES,
        "known": st.none() | st.sets(st.sampled_from("abcd")),
    }
)


def at(turns: list[Turn], time: float) -> set[str]:
    return {label for label, start, end in turns if start <= time < end}


def counted(reference: list[Turn], hypothesis: list[Turn], options: dict[str, Any], agree: dict[str, str]) -> Any:
    """Frame by frame; `agree` says which name of the reference each label of the hypothesis is right for."""
    result: Counter[str] = Counter()
    confusions: Counter[tuple[str, str]] = Counter()
    for number in range(-8, 110):
        time = (number + 0.5) * FRAME
        who = at(reference, time)
        frames = range(math.ceil(-options["collar"] / FRAME), math.ceil(options["collar"] / FRAME))
        near = any(
            {one for one in "abcd" if one in at(reference, time + k * FRAME)}
            ^ {one for one in "abcd" if one in at(reference, time + (k + 1) * FRAME)}
            for k in frames
        )
        if near or (options["skip_overlap"] and len(who) > 1):
            continue
        if options["evaluated"] is not None and not any(start <= time < end for start, end in options["evaluated"]):
            continue
        known = options["known"]
        names = [one if known is None or one in known else "unknown" for one in sorted(who)]
        labels = sorted(at(hypothesis, time))
        both = max(len(names), len(labels))
        left_names, left_labels = list(names), list(labels)
        for label in labels:
            if agree.get(label) in left_names:
                left_names.remove(agree[label])
                left_labels.remove(label)
        n_correct = len(labels) - len(left_labels)
        n_confused = min(len(left_names), len(left_labels))
        result["total"] += len(names)
        result["correct"] += n_correct
        result["confusion"] += n_confused
        result["missed"] += max(0, len(names) - len(labels))
        result["false_alarm"] += max(0, len(labels) - len(names))
        if len(names) > 1:
            result["overlap"] += len(names)
            result["errors_in_overlap"] += both - n_correct
        for pair in itertools.product(left_names, left_labels):
            confusions[pair] += n_confused * FRAME / (len(left_names) * len(left_labels))  # type: ignore[assignment]
    return {name: result[name] * FRAME for name in SECONDS}, dict(confusions)


@given(TURNS, HEARD_TURNS, OPTIONS)
def test_counting_frames_gives_the_same(reference: Any, hypothesis: Any, options: Any) -> None:
    errors = score_timeline(reference, hypothesis, **options)
    seconds, confusions = counted(reference, hypothesis, options, {label: label for label in (*"abc", "unknown")})
    assert {name: getattr(errors, name) for name in SECONDS} == seconds
    assert dict(errors.confusions) == pytest.approx(confusions)


@given(TURNS, HEARD_TURNS, OPTIONS)
def test_no_mapping_is_better_than_the_best(reference: Any, hypothesis: Any, options: Any) -> None:
    labels = sorted({label for label, _start, _end in hypothesis})
    names = ["a", "b", "c", "d", "unknown"]
    most = max(
        score_timeline([(*turn,) for turn in reference], renamed, **{**options, "unknown": "unknown"}).correct
        for chosen in itertools.permutations(names, len(labels))
        for renamed in [[(chosen[labels.index(label)], *times) for label, *times in hypothesis]]
    )
    best = score_timeline(reference, hypothesis, mapping="best", **options)
    assert best.correct == most


# What must hold


@given(TURNS, HEARD_TURNS, OPTIONS, st.sampled_from(["names", "best"]))
def test_components_add_up(reference: Any, hypothesis: Any, options: Any, mapping: Any) -> None:
    errors = score_timeline(reference, hypothesis, mapping=mapping, **options)
    assert errors.total == errors.correct + errors.confusion + errors.missed
    assert sum(errors.confusions.values()) == pytest.approx(errors.confusion)
    assert all(seconds > 0 for seconds in errors.confusions.values())
    assert 0 <= errors.overlap <= errors.total
    assert 0 <= errors.errors_in_overlap <= errors.errors
    assert min(getattr(errors, name) for name in SECONDS) >= 0


@given(TURNS, HEARD_TURNS, OPTIONS, st.permutations(["a", "b", "c", "unknown"]))
def test_other_labels_have_the_same_diarization_error(
    reference: Any, hypothesis: Any, options: Any, names: list[str]
) -> None:
    renamed = [
        (dict(zip(["a", "b", "c", "unknown"], names, strict=True))[label], *times) for label, *times in hypothesis
    ]
    first = score_timeline(reference, hypothesis, mapping="best", **options)
    second = score_timeline(reference, renamed, mapping="best", **options)
    for name in COMPONENTS:
        assert getattr(first, name) == getattr(second, name)


@given(TURNS, OPTIONS, st.sampled_from(["names", "best"]))
def test_the_reference_itself_has_no_errors(reference: Any, options: Any, mapping: Any) -> None:
    options["known"] = None
    errors = score_timeline(reference, reference, mapping=mapping, **options)
    assert errors.errors == 0
    assert errors.correct == errors.total
    assert errors.confusions == {}


@given(TURNS, HEARD_TURNS, OPTIONS)
def test_the_diarization_error_is_not_above_the_identification_error(
    reference: Any, hypothesis: Any, options: Any
) -> None:
    names = score_timeline(reference, hypothesis, **options)
    best = score_timeline(reference, hypothesis, mapping="best", **options)
    assert best.errors <= names.errors
    assert (best.total, best.missed, best.false_alarm) == (names.total, names.missed, names.false_alarm)


@given(TURNS, HEARD_TURNS, OPTIONS, st.sampled_from(["names", "best"]), st.sampled_from([0.3, 1.0, 2.5, 100.0]))
def test_pieces_add_to_the_whole(reference: Any, hypothesis: Any, options: Any, mapping: Any, seconds: float) -> None:
    pieces = in_pieces(reference, hypothesis, seconds=seconds, mapping=mapping, **options)
    same(sum(pieces, TimelineErrors()), score_timeline(reference, hypothesis, mapping=mapping, **options))


@given(TURNS, HEARD_TURNS, OPTIONS, st.sampled_from(["names", "best"]), st.integers(-1000, 10_000))
def test_a_later_recording_has_the_same_errors(
    reference: Any, hypothesis: Any, options: Any, mapping: Any, frames: int
) -> None:
    shift = frames * FRAME
    first = score_timeline(reference, hypothesis, mapping=mapping, **options)
    if options["evaluated"] is not None:
        options["evaluated"] = [(start + shift, end + shift) for start, end in options["evaluated"]]
    reference, hypothesis = (
        [(label, start + shift, end + shift) for label, start, end in turns] for turns in (reference, hypothesis)
    )
    same(score_timeline(reference, hypothesis, mapping=mapping, **options), first)


@given(TURNS, HEARD_TURNS, OPTIONS)
def test_a_larger_collar_scores_less(reference: Any, hypothesis: Any, options: Any) -> None:
    wider = [
        score_timeline(reference, hypothesis, **{**options, "collar": collar}) for collar in (0, 0.1, 0.25, 0.5, 1)
    ]
    for narrow, wide in itertools.pairwise(wider):
        for name in SECONDS:
            assert getattr(wide, name) <= getattr(narrow, name) + 1e-9


@given(TURNS, HEARD_TURNS, OPTIONS, st.randoms(use_true_random=False))
def test_neither_order_nor_cuts_matter(reference: Any, hypothesis: Any, options: Any, random: Any) -> None:
    cut: list[list[Turn]] = []
    for turns in (reference, hypothesis):
        parts = []
        for label, start, end in turns:
            middle = start + (end - start) / 2
            parts += [(label, start, middle), (label, middle, end), (label, start, end)]
        random.shuffle(parts)
        cut.append(parts)
    assert score_timeline(*cut, **options) == score_timeline(reference, hypothesis, **options)


# Pieces and their interval


def test_pieces_are_cut_from_the_beginning_of_each_stretch() -> None:
    reference = [("a", 0, 100)]
    pieces = in_pieces(reference, [], evaluated=[(50, 52), (5, 30)])
    assert [piece.total for piece in pieces] == [10.0, 10.0, 5.0, 2.0]
    assert [piece.total for piece in in_pieces(reference, [("b", 95, 130)], seconds=50)] == [50.0, 50.0, 0.0]
    assert len(in_pieces([("a", 0.1, 30.1)], [])) == 3
    assert [piece.total for piece in in_pieces([("a", 0, 0.3)], [], seconds=0.1)] == pytest.approx([0.1, 0.1, 0.1])


def test_the_best_mapping_of_pieces_is_that_of_the_recording() -> None:
    reference = [("a", 0, 20), ("b", 20, 30)]
    pieces = in_pieces(reference, [("x", 0, 20), ("y", 20, 25), ("x", 25, 30)], mapping="best", seconds=5)
    assert [piece.errors for piece in pieces] == [0, 0, 0, 0, 0, 5]


def test_the_interval_is_that_of_independent_pieces() -> None:
    """A fifth of 400 pieces is wrong: the standard error is √(0.2 · 0.8/400)."""
    pieces = [TimelineErrors(total=1.0, missed=float(number % 5 == 0)) for number in range(400)]
    low, high = interval(pieces, seed=7)
    assert low < 0.2 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.2 * 0.8 / 400), rel=0.1)
    assert (low, high) == interval(pieces, seed=7)
    assert (low, high) != interval(pieces, seed=8)
    narrow = interval(pieces, seed=7, level=0.5)
    assert low < narrow[0] < 0.2 < narrow[1] < high


def test_the_interval_is_of_the_pooled_rate() -> None:
    """Errors and speech are in proportion in every piece, so no draw has another rate; the mean of rates would have."""
    pieces = [TimelineErrors(total=total, confusion=total / 4) for total in (1.0, 2.0, 16.0, 0.0)]
    assert interval(pieces, seed=1) == pytest.approx((0.25, 0.25))
    assert all(math.isnan(end) for end in interval([TimelineErrors(false_alarm=3.0)], seed=1))


# Boundaries


def test_boundaries_by_hand() -> None:
    reference = [("a", 1, 4), ("a", 4, 5), ("b", 4.5, 8), ("a", 20, 30)]
    hypothesis = [("x", 1.25, 4.25), ("y", 4.25, 8.5), ("x", 18, 27)]
    # starts 1, 4.5, 20; ends 5, 8, 30; a end at 4 lies within a's turn
    assert boundary_errors(reference, hypothesis).tolist() == [0.25, 0.25, 2.0, 0.75, 0.5, math.inf]
    assert boundary_errors(reference, hypothesis, within=0.5).tolist() == [0.25, 0.25, *[math.inf] * 2, 0.5, math.inf]
    assert boundary_errors(reference, []).tolist() == [math.inf] * 6
    assert boundary_errors([], hypothesis).shape == (0,)


@given(TURNS, HEARD_TURNS)
def test_the_nearest_boundary_is_nearest(reference: Any, hypothesis: Any) -> None:
    found = boundary_errors(reference, hypothesis, within=math.inf)
    n_turns = len(found) // 2
    starts = {start for _label, start, end in hypothesis if end > start}
    for place, distance in zip(
        sorted(start for one in "abcd" for start, _end in merged(reference, one)), found[:n_turns], strict=True
    ):
        # a start within a turn of its own label is none, so what is found can only be farther
        assert distance >= min((abs(place - start) for start in starts), default=math.inf)
        possible = [abs(place - start) for one in (*"abc", "unknown") for start, _end in merged(hypothesis, one)]
        assert distance == min(possible, default=math.inf)


def merged(turns: list[Turn], label: str) -> list[tuple[float, float]]:
    """Turns of one label as runs of frames."""
    active = [label in at(turns, (number + 0.5) * FRAME) for number in range(100)]
    changes = np.flatnonzero(np.diff([False, *active, False]))
    return [(start * FRAME, end * FRAME) for start, end in changes.reshape(-1, 2)]


@given(TURNS)
def test_boundaries_of_the_reference_itself(reference: Any) -> None:
    assert not boundary_errors(reference, reference).any()


# Checks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": [("a", 2, 1)]}, "turn of the reference: from 2.0 s to 1.0 s"),
        ({"hypothesis": [("a", 0, math.nan)]}, "turn of the hypothesis: from 0.0 s to nan s"),
        ({"hypothesis": [("a", 0, math.inf)]}, "turn of the hypothesis"),
        ({"evaluated": [(5, 4)]}, "evaluated stretch: from 5.0 s to 4.0 s"),
        ({"collar": -0.1}, "a collar of -0.1 s"),
        ({"collar": math.nan}, "a collar of nan s"),
        ({"mapping": "greedy"}, "mapping 'greedy'; it must be names or best"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"reference": [("a", 0, 1)], "hypothesis": [("a", 0, 1)], **arguments}
    for function in (score_timeline, in_pieces):
        with pytest.raises(ValueError, match=message):
            function(**options)


def test_other_wrong_arguments_are_refused() -> None:
    for seconds in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="pieces of"):
            in_pieces([], [], seconds=seconds)
    with pytest.raises(ValueError, match="no pieces"):
        interval([], seed=1)
    with pytest.raises(ValueError, match="level"):
        interval([TimelineErrors(total=1.0)], seed=1, level=1.0)
    with pytest.raises(ValueError, match="within"):
        boundary_errors([], [], within=-1)
    with pytest.raises(ValueError, match="turn of the hypothesis"):
        boundary_errors([], [("a", 1, 0)])
