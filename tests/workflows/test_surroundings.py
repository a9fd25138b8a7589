"""Who was enrolled elsewhere than the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from speakerid.audio import parse_degradation
from speakerid.audio.degradations import degrade
from speakerid.workflows.advice import AdviceReport
from speakerid.workflows.advice_sentences import sentences
from speakerid.workflows.surroundings import Apart, apart_from_others

Run = Callable[..., Any]


def record(noise: float, *, narrow: bool = False, bands: int = 36) -> dict[str, Any]:
    return {"environment": {"noise": [noise] * bands, "level": [-20.0] * bands, "narrow": narrow}}


def test_who_is_noisier_or_quieter_by_far_is_apart() -> None:
    records = {"a": record(-30), "b": record(-31), "c": record(-13.9), "d": record(-29), "e": record(-47)}
    everybody = list(records)
    assert apart_from_others(records, everybody) == (Apart("noisy", ("c",), 5), Apart("quiet", ("e",), 5))
    assert apart_from_others(records, ["e"]) == (Apart("quiet", ("e",), 5),)
    assert apart_from_others(records, ["a"]) == ()
    assert apart_from_others(records | {"c": record(-14.1), "e": record(-45)}, everybody) == ()


@pytest.mark.parametrize(("narrow", "where", "who"), [("ab", "narrow", ("a", "b")), ("abde", "wide", ("c",))])
def test_the_band_of_the_fewer_is_apart(narrow: str, where: str, who: tuple[str, ...]) -> None:
    records = {name: record(-30, narrow=name in narrow) for name in "abcde"}
    assert apart_from_others(records, "abcde") == (Apart(where, who, 5),)  # type: ignore[arg-type]


def test_it_is_told_where_it_is_known_of_everybody() -> None:
    records = {"a": record(-30), "b": record(-30), "c": record(0)}
    assert apart_from_others(records | {"d": {}}, "abcd") == ()
    assert apart_from_others(records | {"d": record(-30, bands=24)}, "abcd") == ()
    assert apart_from_others({"c": record(0)}, "c") == ()
    assert apart_from_others({}, "c") == ()


def test_in_words() -> None:
    apart = (Apart("noisy", ("a",), 9), Apart("narrow", ("a", "b", "c", "d"), 9))
    assert sentences(AdviceReport(apart=apart)) == [
        "a (1 of 9 speakers) is enrolled in much more noise than most others: questions in noise may be taken for theirs; "
        "enrol everybody in the same places",
        "a, b, c, ... (4 of 9 speakers) are enrolled without the upper band, as by telephone, unlike the others: questions "
        "by telephone may be taken for theirs; enrol everybody in the same places",
    ]


def test_enrolling_says_it(run: Run, small: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    first = run("enroll", small, "--db", db)
    assert "noise than most" not in first.err
    (path, *_others) = sorted(small.glob("Tom/*.flac"))
    samples, rate = sf.read(path, dtype="float32")
    noisy = degrade(samples, rate, parse_degradation("noise:5:white"), seed=0, key="x")
    sf.write(tmp_path / "kitchen.wav", np.clip(noisy, -1, 1), rate)
    outcome = run("enroll", tmp_path / "kitchen.wav", "--speaker", "Ann", "--db", db)
    assert outcome.status == 0
    assert "Ann (1 of 4 speakers) is enrolled in much more noise than most others" in outcome.err
