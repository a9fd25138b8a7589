"""What ``enroll`` and ``speakers show`` say of the recordings themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def voices(tmp_path: Path, sample: Path) -> Path:
    """A folder of four speakers; one recording of Tom's lies in Alice's."""
    folder = tmp_path / "voices"
    for name in ("Aino", "Alice", "Giulia", "Tom"):
        shutil.copytree(sample / "enroll" / name, folder / name)
    shutil.copy(sample / "test" / "tom-1.flac", folder / "Alice" / "x.flac")
    return folder


def test_a_wrong_folder_is_named_with_what_to_do(run: Run, voices: Path, tmp_path: Path) -> None:
    outcome = run("enroll", voices, "--db", tmp_path / "s.db")
    assert outcome.status == 0
    assert outcome.err.splitlines() == [
        f"{voices / 'Alice' / 'x.flac'} does not sound like Alice's other recordings; it fits Tom better: "
        "listen to it, and move or remove it"
    ]


def test_quiet_is_quiet_and_right_folders_say_nothing(run: Run, voices: Path, tmp_path: Path) -> None:
    assert run("enroll", voices, "--db", tmp_path / "q.db", "--quiet").err == ""
    (voices / "Alice" / "x.flac").unlink()
    assert run("enroll", voices, "--db", tmp_path / "s.db").err == ""


def test_advice_is_for_those_who_were_enrolled_now(run: Run, voices: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    run("enroll", voices, "--db", db, "--quiet")
    again = run("enroll", voices, "--db", db)
    assert again.err.splitlines() == ["13 recordings were enrolled already: nothing was changed for them"]


def test_one_person_under_two_names(run: Run, voices: Path, sample: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    run("enroll", voices, "--db", db, "--quiet")
    files = [sample / "test" / "aino-1.flac", sample / "test" / "aino-2.flac"]
    outcome = run("enroll", *files, "--speaker", "Anna", "--db", db)
    assert outcome.status == 0
    lines = outcome.err.splitlines()
    assert sum(line.startswith("Anna and Aino may be the same person: ") for line in lines) == 1
    (neighbour, *_rest) = run("speakers", "show", "Anna", "--db", db, "--format", "json").json[0]["neighbours"]
    assert (neighbour["speaker"], neighbour["finding"]) == ("Aino", "same_person")
    assert neighbour["likeness"] > 0.8


def test_show_tells_how_each_recording_fits(run: Run, voices: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    run("enroll", voices, "--db", db, "--quiet")
    (line,) = run("speakers", "show", "Alice", "--db", db, "--format", "json").json
    assert list(line) == [
        "speaker", "created", "changed", "seconds", "speech_seconds", "components", "recordings", "training",
        "amount", "neighbours", "advice",
    ]  # fmt: skip
    by_file = {Path(r["source"]).name: r for r in line["recordings"]}
    assert {name: r["finding"] for name, r in by_file.items()} == {
        "alice-enroll-1.flac": None, "alice-enroll-2.flac": None, "alice-enroll-3.flac": None, "x.flac": "fits_another",
    }  # fmt: skip
    odd = by_file.pop("x.flac")
    assert odd["fit"] < 0.1 < odd["nearest_fit"]
    assert odd["nearest"] == "Tom"
    assert all(0.8 < r["fit"] < 1.25 for r in by_file.values())
    assert (line["amount"], len(line["neighbours"]), len(line["advice"])) == ("enough", 3, 1)
    table = run("speakers", "show", "Alice", "--db", db)
    assert (table.status, table.err) == (0, "")
    assert line["advice"][0] in table.out.splitlines()
    assert f"{100 * odd['fit']:.0f} %" in table.out
    assert "nearest other speakers" in table.out


def test_amounts_that_are_little_or_unequal(run: Run, sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / "voices"
    for name, part in (("Aino", "aino"), ("Tom", "tom")):
        (folder / name).mkdir(parents=True)
        shutil.copy(sample / "enroll" / name / f"{part}-enroll-1.flac", folder / name)
    rows = ["path,speaker,start,end", f"{folder / 'Tom' / 'tom-enroll-1.flac'},Short,0.5,1.1"]
    rows += [f"{file},Aino,," for file in sorted((sample / "enroll" / "Aino").iterdir())]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    outcome = run("enroll", manifest, "--db", tmp_path / "s.db")
    assert outcome.status == 0
    first, second = outcome.err.splitlines()
    assert first.startswith("Short: only 0.")
    assert "s of speech, too little; answers get better with 10 s and more" in first
    assert second.startswith("amounts of speech are unequal: Aino has 12.")
    assert "do not lean to those with more" in second


def test_a_damaged_model_of_somebody_else_does_not_hide_a_speaker(
    run: Run, db: Path, change: Callable[..., None]
) -> None:
    change(
        db,
        "UPDATE models SET means = x'00' WHERE speaker_id = (SELECT id FROM speakers WHERE name = ?)",
        values=("Tom",),
    )
    outcome = run("speakers", "show", "Aino", "--db", db)
    assert outcome.status == 0
    assert outcome.out.count("aino-enroll-") == 3
    (complaint,) = outcome.complaints
    assert "Aino was not compared with others" in complaint
    assert "the model of Tom is damaged" in complaint


def test_own_mixtures_have_amounts_alone(run: Run, voices: Path, tmp_path: Path) -> None:
    db, config = tmp_path / "ml.db", tmp_path / "ml.toml"
    config.write_text('[training]\nmethod = "ml"\n', encoding="utf-8")
    outcome = run("enroll", voices, "--db", db, "--config", config)
    assert (outcome.status, outcome.err) == (0, "")
    (line,) = run("speakers", "show", "Alice", "--db", db, "--format", "json").json
    assert (line["amount"], line["neighbours"], line["advice"]) == ("enough", [], [])
    assert {r["fit"] for r in line["recordings"]} == {None}
