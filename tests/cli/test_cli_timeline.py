"""``identify --timeline``: layouts that other programs read, pictures, streams, and what is refused."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

NAMES = ["Alice", "Robert", "unknown", "Alice", "José", "Tom", "unknown", "Núria"]
PROGRAM = Path(sys.executable).with_name("speakerid")


@pytest.fixture
def talk(sample: Path) -> Path:
    return sample / "conversation.flac"


@pytest.fixture
def ask(run: Callable[..., Any], enrolled: Path, talk: Path) -> Callable[..., Any]:
    """Ask for the timeline of the conversation."""

    def asked(*options: str | Path, audio: str | Path = talk, stdin: bytes = b"") -> Any:
        return run("identify", "--timeline", audio, "--db", enrolled, *options, stdin=stdin)

    return asked


def test_a_table_for_people(ask: Callable[..., Any]) -> None:
    outcome = ask()
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["Start", "End", "Speaker", "Probability", "LLR", "Speech", "s"]
    assert len(lines) == 2 + len(NAMES)
    assert "unknown (nearest: Tom)" in lines[4]
    assert "29.2 s heard: Alice" in outcome.err
    assert "nobody" in outcome.err
    assert outcome.complaints == []


def test_several_voices_are_no_failure(ask: Callable[..., Any]) -> None:
    outcome = ask("--format", "json", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    [values] = outcome.json
    assert (values["status"], values["reason"], values["decision"]) == ("undecided", "several_voices", None)
    assert [each["decision"] or each["status"] for each in values["segments"]] == NAMES
    assert values["duration_seconds"] == 29.25


def test_csv_has_all_digits_of_the_times(ask: Callable[..., Any], run: Callable[..., Any], enrolled: Path, talk: Path,
                                         tmp_path: Path) -> None:  # fmt: skip
    rows = ask("--format", "csv").csv
    assert [row["decision"] or row["status"] for row in rows] == NAMES
    assert rows[0]["path"] == str(talk)
    # a stretch that begins after more than 1,000 s keeps its milliseconds
    samples, rate = sf.read(talk, dtype="int16")
    with sf.SoundFile(tmp_path / "long.flac", "w", rate, 1, subtype="PCM_16") as file:
        file.write(np.zeros(1010 * rate, dtype=np.int16))
        file.write(samples)
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,speaker,start,end\nlong.flac,x,1020.567,1024\n", encoding="utf-8")
    [row] = run("identify", "--timeline", manifest, "--db", enrolled, "--format", "csv").csv
    assert round((float(row["start"]) - 1020.567) / 0.1, 6).is_integer()
    assert row["decision"] == "Alice"


def test_rttm_for_scoring_tools(ask: Callable[..., Any]) -> None:
    lines = [line.split() for line in ask("--format", "rttm").out.splitlines()]
    assert [line[7] for line in lines] == NAMES
    assert {(line[0], line[1], line[2], len(line)) for line in lines} == {("SPEAKER", "conversation", "1", 10)}


def test_labels_and_subtitles(ask: Callable[..., Any]) -> None:
    labels = [line.split("\t") for line in ask("--format", "audacity").out.splitlines()]
    assert [label[2] for label in labels] == NAMES
    vtt = ask("--format", "vtt").out
    assert vtt.startswith("WEBVTT\n")
    assert vtt.count(" --> ") == len(NAMES)
    assert "<v José>José" in vtt
    srt = ask("--format", "srt").out
    assert srt.startswith("1\n00:00:00,000 --> ")
    assert srt.count(" --> ") == len(NAMES)


def test_all_layouts_say_the_same_times(ask: Callable[..., Any]) -> None:
    segments = ask("--format", "json").json[0]["segments"]
    rttm = [line.split() for line in ask("--format", "rttm").out.splitlines()]
    for segment, line in zip(segments, rttm, strict=True):
        assert float(line[3]) == pytest.approx(segment["start"], abs=1e-3)
        assert float(line[3]) + float(line[4]) == pytest.approx(segment["end"], abs=1e-3)


def test_windows_and_hops_can_be_chosen(ask: Callable[..., Any]) -> None:
    segments = ask("--window", "2", "--hop", "0.5", "--format", "json").json[0]["segments"]
    assert all(round(each["start"] / 0.5, 6).is_integer() for each in segments)


def test_pictures_and_pages_are_written(ask: Callable[..., Any], tmp_path: Path) -> None:
    outcome = ask("--plot", tmp_path / "a.svg", "--report", tmp_path / "a.html")
    assert outcome.status == 0
    assert "written: " in outcome.err
    assert "José" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<audio" in page
    assert "Núria" in page
    assert ask("--plot", tmp_path / "b.png", "--spectrogram").status == 0
    assert (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "2"], "--window is for timelines"),
        (["--hop", "2"], "--hop is for timelines"),
        (["--follow"], "--follow is for timelines"),
        (["--plot", "a.png"], "--plot is for timelines"),
        (["--report", "a.html"], "--report is for timelines"),
        (["--format", "rttm"], "--format rttm is for timelines"),
        (["--timeline", "--top", "3"], "--top ranks"),
        (["--timeline", "--window", "0"], "--window needs a number of seconds"),
        (["--timeline", "--hop", "nan"], "--hop needs a number of seconds"),
        (["--timeline", "--hop", "2"], "longer than the window"),
        (["--timeline", "--follow"], "--follow reads standard input"),
        (["--timeline", "--plot", "a.gif"], ".png"),
        (["--timeline", "--report", "a.txt"], ".html"),
        (["--timeline", "--report", "nowhere/a.html"], "nowhere"),
        (["--timeline", "--spectrogram"], "--plot FILE"),
        (["--timeline", "--closed-set", "--threshold", "1"], "give one of the three"),
    ],
)
def test_what_does_not_go_together_is_refused(
    run: Callable[..., Any], enrolled: Path, talk: Path, options: list[str], message: str
) -> None:
    outcome = run("identify", talk, "--db", enrolled, *options)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.complaints) == 1


@pytest.mark.parametrize(
    "options", [["--follow", "--plot", "a.png"], ["--follow", "--format", "srt"], ["--report", "a.html"]]
)
def test_a_stream_is_read_once(ask: Callable[..., Any], options: list[str]) -> None:
    outcome = ask(*options, audio="-")
    assert outcome.status == 2
    assert len(outcome.complaints) == 1


def test_one_picture_is_of_one_recording(ask: Callable[..., Any], sample: Path, tmp_path: Path) -> None:
    for options in (["--plot", tmp_path / "a.png"], ["--format", "srt"]):
        outcome = ask(*options, audio=sample / "test")
        assert outcome.status == 2
        assert "one recording, and there are 19" in outcome.err


def test_a_recording_that_is_not_there_is_told_first(ask: Callable[..., Any], tmp_path: Path) -> None:
    outcome = ask("--report", tmp_path / "a.html", audio=tmp_path / "none.wav")
    assert outcome.status == 3
    assert "no such file" in outcome.err
    assert not (tmp_path / "a.html").exists()


def test_a_picture_does_not_replace_what_it_is_of(ask: Callable[..., Any], talk: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.png"
    own.write_bytes(talk.read_bytes())
    outcome = ask("--plot", own, audio=own)
    assert (outcome.status, outcome.out) == (2, "")
    assert own.read_bytes() == talk.read_bytes()
    assert ask("--plot", tmp_path / "a.png", "--report", tmp_path / "a.png").status == 2
    assert not (tmp_path / "a.png").exists()


def test_two_recordings_of_one_name_are_refused_in_rttm(
    run: Callable[..., Any], enrolled: Path, talk: Path, tmp_path: Path
) -> None:
    (tmp_path / "conversation.flac").write_bytes(talk.read_bytes())
    outcome = run("identify", "--timeline", talk, tmp_path, "--db", enrolled, "--format", "rttm")
    assert (outcome.status, outcome.out) == (2, "")
    assert "RTTM calls both" in outcome.err


def test_many_recordings_are_told_apart(ask: Callable[..., Any], sample: Path, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"RIFF")
    for name in ("tom-1", "silence"):
        (tmp_path / f"{name}.flac").write_bytes((sample / "test" / f"{name}.flac").read_bytes())
    outcome = ask(audio=tmp_path)
    assert outcome.status == 3
    assert "Recording" in outcome.out.splitlines()[0]
    assert "undecided: no speech" in outcome.out
    assert len(outcome.complaints) == 2
    rttm = ask("--format", "rttm", audio=tmp_path)
    assert [line.split()[1] for line in rttm.out.splitlines()] == ["tom-1"]
    by_path = {Path(values["path"]).name: values for values in ask("--format", "json", audio=tmp_path).json}
    assert by_path["silence.flac"]["segments"] == []
    assert by_path["silence.flac"]["reason"] == "no_speech"
    assert by_path["tom-1.flac"]["decision"] == "Tom"


def test_a_file_on_standard_input(ask: Callable[..., Any], talk: Path) -> None:
    from_file = ask("--format", "rttm").out.replace(" conversation ", " stdin ")
    assert ask("--format", "rttm", audio="-", stdin=talk.read_bytes()).out == from_file


def as_wav(talk: Path) -> bytes:
    samples, rate = sf.read(talk, dtype="int16")
    file = io.BytesIO()
    sf.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def followed(enrolled: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [PROGRAM, "identify", "-", "--timeline", "--follow", "--db", enrolled, *options]
    # unbuffered: what readline takes beyond its line, communicate would not give
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, bufsize=0, **pipes)


def test_a_stream_has_the_segments_of_the_file(ask: Callable[..., Any], enrolled: Path, talk: Path) -> None:
    wav = as_wav(talk)
    expected = ask("--format", "csv").out.splitlines()
    process = followed(enrolled, "--format", "csv")
    out, err = process.communicate(wav)
    assert process.returncode == 0
    assert [line.split(",", 1)[1] for line in out.decode().splitlines()] == [line.split(",", 1)[1] for line in expected]
    assert b"answers come" in err
    raw = followed(enrolled, "--format", "csv", "--raw", "16000", "--quiet")
    assert raw.communicate(wav[44:]) == (out, b"")


def test_answers_come_while_the_sound_does(enrolled: Path, talk: Path) -> None:
    """The writer waits for the first name before it goes on: an answer at the end would never come."""
    wav = as_wav(talk)
    process = followed(enrolled, "--format", "json", "--quiet")
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(wav[: 44 + 2 * 16000 * 16])
    process.stdin.flush()
    first = process.stdout.readline()
    assert b'"event": "beginning"' in first
    assert b"Alice" in first
    out, _err = process.communicate(wav[44 + 2 * 16000 * 16 :])
    watchdog.cancel()
    assert process.returncode == 0
    assert out.count(b'"event": "segment"') == len(NAMES)
    assert b'{"event": "end", "path": "-"' in out.splitlines()[-1]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_ends_a_stream_with_a_summary(enrolled: Path, talk: Path) -> None:
    process = followed(enrolled)
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(as_wav(talk)[: 44 + 2 * 16000 * 16])
    process.stdin.flush()
    assert b"Alice" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    watchdog.cancel()
    assert process.returncode == 0
    assert b"heard: " in err
    assert b"Robert" in out


def test_what_is_no_stream_is_refused_at_once(enrolled: Path, talk: Path) -> None:
    process = followed(enrolled)
    out, err = process.communicate(talk.read_bytes()[:2000])
    assert (process.returncode, out) == (3, b"")
    assert err.count(b"\n") == 1
    assert b"-f wav" in err


def test_silence_in_a_stream(enrolled: Path) -> None:
    process = followed(enrolled, "--raw", "16000", "--format", "csv")
    out, err = process.communicate(bytes(2 * 16000 * 5))
    assert process.returncode == 3
    _header, row = csv.reader(io.StringIO(out.decode()))
    assert row[3:] == ["undecided", "", "", "", "", "0.0", "no_speech"]
    assert b"no speech found" in err


def test_a_damaged_recording_tells_what_was_there(ask: Callable[..., Any], talk: Path, tmp_path: Path) -> None:
    data = talk.read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    outcome = ask("--format", "json", audio=tmp_path / "cut.flac")
    assert outcome.status == 3
    assert outcome.json[0]["reason"] == "truncated"
    assert len(outcome.complaints) == 1
