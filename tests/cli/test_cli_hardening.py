"""What two hostile readings found, so that it stays mended."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr

Run = Callable[..., Any]


def half_rate(sample: Path, tmp_path: Path) -> Path:
    samples, rate = sf.read(sample / "test" / "alice-1.flac", dtype="float32")
    narrow = tmp_path / "narrow.wav"
    sf.write(narrow, soxr.resample(samples, rate, 8000), 8000)
    return narrow


def test_a_recording_of_half_the_rate_gets_a_warning(run: Run, enrolled: Path, sample: Path, tmp_path: Path) -> None:
    narrow = half_rate(sample, tmp_path)
    outcome = run("identify", narrow, sample / "test" / "alice-1.flac", "--db", enrolled, "--format", "json")
    first, second = outcome.json
    assert first["status"] in ("identified", "unknown")
    assert first["scores"][0]["speaker"] == "Alice"
    assert "nothing in the upper band" in first["message"]
    assert first["message"] in outcome.err
    assert (second["decision"], second["message"]) == ("Alice", None)


def test_a_recording_of_half_the_rate_gets_no_name_of_speakers_by_likelihood(
    run: Run, enrolled_ml: Path, sample: Path, tmp_path: Path
) -> None:
    enrolled, narrow = enrolled_ml, half_rate(sample, tmp_path)
    outcome = run("identify", narrow, sample / "test" / "alice-1.flac", "--db", enrolled, "--format", "json", "--quiet")
    assert outcome.status == 3
    first, second = outcome.json
    assert (first["status"], first["decision"], first["reason"]) == ("undecided", None, "band")
    assert "nothing in the upper band" in first["message"]
    assert outcome.err == f"speakerid: {first['message']}\n"
    assert (second["decision"], second["message"]) == ("Alice", None)


def test_a_recording_of_half_the_rate_gets_a_warning_where_the_features_cannot_tell(
    run: Run, small: Path, sample: Path, tmp_path: Path
) -> None:
    config = tmp_path / "few.toml"
    config.write_text('[front_end]\ncepstra = 13\n[training]\nmethod = "ml"\n[world]\nfile = ""\n', encoding="utf-8")
    assert run("enroll", small, "--db", tmp_path / "s.db", "--config", config, "--quiet").status == 0
    narrow = half_rate(sample, tmp_path)
    outcome = run("identify", narrow, sample / "test" / "alice-1.flac", "--db", tmp_path / "s.db", "--format", "json")
    first, second = outcome.json
    assert first["status"] == "identified"
    assert "sampled at 8 kHz, the speakers at 16 kHz" in first["message"]
    assert second["message"] is None
    assert outcome.err.count("warning: ") == 1


def test_narrow_recordings_of_narrow_enrolment_get_none(run: Run, sample: Path, tmp_path: Path) -> None:
    for path in (sample / "enroll" / "Tom").glob("*.flac"):
        samples, rate = sf.read(path, dtype="float32")
        sf.write(tmp_path / path.with_suffix(".wav").name, soxr.resample(samples, rate, 8000), 8000)
    db = tmp_path / "s.db"
    assert run("enroll", tmp_path, "--speaker", "Tom", "--db", db).status == 0
    outcome = run("identify", tmp_path / "tom-enroll-1.wav", "--db", db, "--format", "json")
    assert outcome.json[0]["message"] is None


def test_a_store_is_not_imported_into_itself(run: Run, db: Path, tmp_path: Path, digest: Callable[[Path], str]) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(db)
    before = digest(db)
    for name in (db, link):
        outcome = run("speakers", "import", name, "--db", db, "--replace")
        assert outcome.status == 2
        assert "cannot be imported into itself" in outcome.err
    assert digest(db) == before


def test_names_that_were_mixed_up_can_be_put_right(run: Run, sample: Path, tmp_path: Path) -> None:
    tom, alice = (sorted((sample / "enroll" / name).glob("*.flac"))[0] for name in ("Tom", "Alice"))

    def manifest(name: str, *rows: tuple[Path, str]) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "speaker"), *rows])
        return path

    db = tmp_path / "s.db"
    assert run("enroll", manifest("wrong.csv", (tom, "Alice"), (alice, "Tom")), "--db", db).status == 0
    right = manifest("right.csv", (tom, "Tom"), (alice, "Alice"))
    assert run("enroll", right, "--db", db).status == 3
    assert run("enroll", right, "--db", db, "--replace").status == 0
    for path, name in ((tom, "Tom"), (alice, "Alice")):
        assert run("identify", path, "--db", db, "--format", "json").json[0]["decision"] == name


@pytest.mark.parametrize("value", [1e-45, 1e30, float("inf")])
def test_absurd_variances_are_a_damaged_store(
    run: Run, tmp_path: Path, enrolled_ml: Path, sample: Path, value: float
) -> None:
    db = shutil.copyfile(enrolled_ml, tmp_path / "s.db")
    with contextlib.closing(sqlite3.connect(db)) as connection:
        (size,) = connection.execute("SELECT length(variances) FROM models").fetchone()
        connection.execute("UPDATE models SET variances = ?", (struct.pack("<f", value) * (size // 4),))
        connection.commit()
    outcome = run("identify", sample / "test" / "tom-1.flac", "--db", db, "--format", "json")
    assert (outcome.status, outcome.out) == (2, "")
    assert "is damaged" in outcome.err


@pytest.mark.parametrize("value", [1e30, float("inf"), float("nan")])
def test_absurd_means_are_a_damaged_store(run: Run, db: Path, sample: Path, value: float) -> None:
    with contextlib.closing(sqlite3.connect(db)) as connection:
        (size,) = connection.execute("SELECT length(means) FROM models").fetchone()
        connection.execute("UPDATE models SET means = ?", (struct.pack("<f", value) * (size // 4),))
        connection.commit()
    outcome = run("identify", sample / "test" / "tom-1.flac", "--db", db, "--format", "json")
    assert (outcome.status, outcome.out) == (2, "")
    assert "is damaged" in outcome.err


def test_closed_streams_are_no_internal_error(program_path: Path, enrolled: Path, sample: Path) -> None:
    clip = sample / "test" / "tom-1.flac"
    for line in (
        f'"{program_path}" identify "{clip}" --db "{enrolled}" --format json >&-',
        f'"{program_path}" identify "{clip}" --db "{enrolled}" --format json 2>&-',
        f'"{program_path}" --help >&-',
    ):
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
        assert "internal error" not in done.stderr + done.stdout
        assert done.returncode == 0, line
    line = f'"{program_path}" identify - --db "{enrolled}" <&-'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert "standard input" in done.stderr


def test_a_device_is_no_config(run: Run, enrolled: Path, sample: Path) -> None:
    outcome = run("identify", sample / "test" / "tom-1.flac", "--db", enrolled, "--config", "/dev/zero")
    assert outcome.status == 2
    assert "not a regular file" in outcome.err


def test_a_link_to_nothing_is_followed(run: Run, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    assert run("enroll", sample / "enroll" / "Tom", "--speaker", "Tom", "--db", tmp_path / "link.db").status == 0
    assert (tmp_path / "real.db").is_file()
    assert run("speakers", "list", "--db", tmp_path / "link.db", "--format", "csv").out.count("Tom") == 1


def test_ctrl_c_while_importing_has_no_traceback(program_path: Path) -> None:
    with subprocess.Popen([program_path, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        os.kill(child.pid, signal.SIGINT)
        _out, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    assert child.returncode in (-signal.SIGINT, 130)


def test_a_manifest_without_rows_is_said(run: Run, enrolled: Path, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("path,speaker\n")
    for command in ("enroll", "identify"):
        outcome = run(command, path, "--db", enrolled)
        assert outcome.status == 2
        assert "no rows" in outcome.err


def test_noise_that_begins_and_ends_gets_no_name(run: Run, enrolled: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    t = np.arange(16000) / 16000
    quiet = np.zeros(16000)
    sounds = {
        "direct current": np.full(16000, 0.5),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "brown": np.cumsum(rng.standard_normal(16000)) * 2e-3,
        "white": rng.standard_normal(16000) * 0.1,
    }
    for name, sound in sounds.items():
        sf.write(tmp_path / f"{name}.wav", np.concatenate([quiet, sound, quiet]).clip(-1, 1), 16000)
    outcome = run("identify", tmp_path, "--db", enrolled, "--format", "json")
    assert [(line["status"], line["reason"]) for line in outcome.json] == [("undecided", "no_speech")] * len(sounds)


def test_a_row_that_cannot_be_read_is_named(run: Run, enrolled: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,speaker\nnot-there.wav,Tom\n")
    outcome = run("identify", path, "--db", enrolled)
    assert outcome.status == 3
    assert "list.csv, row 2" in outcome.err
    assert "not-there.wav" in outcome.err


def test_trouble_that_cannot_be_told_keeps_its_status(program_path: Path, enrolled: Path) -> None:
    line = f'"{program_path}" identify not-there.wav --db "{enrolled}" 2>/dev/full >/dev/null'
    assert subprocess.run(["/bin/sh", "-c", line], check=False, timeout=60).returncode == 3
    line = f'"{program_path}" no-such-command 2>/dev/full'
    assert subprocess.run(["/bin/sh", "-c", line], check=False, timeout=60).returncode == 2


def test_swapped_speakers_are_imported(run: Run, sample: Path, tmp_path: Path) -> None:
    tom, alice = (str(sorted((sample / "enroll" / name).glob("*.flac"))[0]) for name in ("Tom", "Alice"))
    for db, first, second in (("one.db", tom, alice), ("two.db", alice, tom)):
        for path, name in ((first, "Tom"), (second, "Alice")):
            assert run("enroll", path, "--speaker", name, "--db", tmp_path / db).status == 0
    assert run("speakers", "import", tmp_path / "one.db", "--db", tmp_path / "two.db", "--replace").status == 0
    assert run("identify", tom, "--db", tmp_path / "two.db", "--format", "json").json[0]["decision"] == "Tom"


def test_a_duplicate_in_a_manifest_is_named_by_its_row(run: Run, sample: Path, tmp_path: Path) -> None:
    path = sorted((sample / "enroll" / "Tom").glob("*.flac"))[0]
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"path,speaker\n{path},Tom\n{path},Alice\n")
    outcome = run("enroll", manifest, "--db", tmp_path / "s.db")
    assert outcome.status == 3
    assert "list.csv, row 3" in outcome.err
    assert "the same audio is enrolled as Tom" in outcome.err


def test_raw_options_need_raw(run: Run, enrolled: Path, sample: Path) -> None:
    outcome = run("identify", sample / "test" / "tom-1.flac", "--db", enrolled, "--raw-encoding", "bogus")
    assert outcome.status == 2
    assert "--raw RATE" in outcome.err


def test_a_clipped_recording_gets_a_warning(run: Run, enrolled: Path, sample: Path, tmp_path: Path) -> None:
    samples, rate = sf.read(sample / "test" / "tom-1.flac")
    sf.write(tmp_path / "loud.wav", (samples / np.abs(samples).max() * 4).clip(-1, 1), rate)
    (line,) = run("identify", tmp_path / "loud.wav", "--db", enrolled, "--format", "json").json
    assert line["status"] in ("identified", "unknown")
    assert line["scores"][0]["speaker"] == "Tom"
    assert "clipped" in line["message"]


def test_a_config_longer_than_a_mebibyte_is_refused(run: Run, enrolled: Path, sample: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text("#" * (1 << 20) + "\n[front_end]\nbogus = 1\n")
    outcome = run("identify", sample / "test" / "tom-1.flac", "--db", enrolled, "--config", path)
    assert outcome.status == 2
    assert "longer than 1 MiB" in outcome.err
