"""Timelines as text: what is written can be read back, whatever the names."""

from __future__ import annotations

import csv
import html
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_timelines import HOSTILE, long_meeting, meeting, segment, timeline

from speakerid.audio.rttm import read_rttm
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_formats import (
    CSV_FIELDS,
    csv_rows,
    lanes,
    seconds_by_speaker,
    to_audacity,
    to_rttm,
    to_srt,
    to_webvtt,
)
from speakerid.workflows.timeline_words import clock, spoken, tick_step

UNREADABLE = Timeline("x.wav", "undecided", None, "no_speech", "x.wav: no speech was found", 2.0, 0.0)


@pytest.fixture
def hostile() -> Timeline:
    return timeline([segment(10 * i, 10 * i + 5, name) for i, name in enumerate(HOSTILE)], 100.0)


def test_rttm_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.rttm"
    path.write_text(to_rttm(meeting()), encoding="utf-8")
    (name,) = (found := read_rttm(path))
    assert name == "a_meeting"
    assert [(turn.label, turn.start, turn.end) for turn in found[name]] == [
        (each.label.replace(" ", "_"), each.start, each.end) for each in meeting().segments
    ]
    assert to_rttm(meeting()).splitlines()[3] == "SPEAKER a_meeting 1 14.500 0.500 <NA> <NA> undecided <NA> <NA>"


def test_rttm_of_any_names_has_ten_fields(tmp_path: Path, hostile: Timeline) -> None:
    lines = to_rttm(hostile).splitlines()
    assert [len(line.split()) for line in lines] == [10] * len(HOSTILE)
    (tmp_path / "a.rttm").write_text(to_rttm(hostile), encoding="utf-8")
    assert len(read_rttm(tmp_path / "a.rttm")["a_meeting"]) == len(HOSTILE)


def test_the_file_of_standard_input_has_a_name() -> None:
    assert to_rttm(replace(meeting(), path="-")).startswith("SPEAKER stdin 1 ")
    assert to_rttm(replace(meeting(), path="/a/b.c/My talk.tar.ogg")).startswith("SPEAKER My_talk.tar 1 ")


def test_audacity_is_read_back(hostile: Timeline) -> None:
    for made in (meeting(), hostile):
        rows = [line.split("\t") for line in to_audacity(made).split("\n")]
        assert rows.pop() == [""]
        assert [(float(start), float(end)) for start, end, _ in rows] == [
            (each.start, each.end) for each in made.segments
        ]
        assert all(re.fullmatch(r"\d+\.\d{6}", time) for row in rows for time in row[:2])
    assert rows[5][2].startswith("two lines  [31m {{")


def cues(text: str) -> list[tuple[str, str, str]]:
    """A strict reader of WebVTT."""
    head, *blocks = text.removesuffix("\n").split("\n\n")
    assert head == "WEBVTT"
    found = []
    for block in blocks:
        times, content = block.split("\n")
        start, end = times.split(" --> ")
        assert re.fullmatch(r"\d{2,}:[0-5]\d:[0-5]\d\.\d{3}", start)
        assert re.fullmatch(r"\d{2,}:[0-5]\d:[0-5]\d\.\d{3}", end)
        assert start < end
        assert "-->" not in content
        voice = re.fullmatch(r"<v ([^<>\n]+)>([^<>\n]+)", content)
        assert voice is not None
        assert html.unescape(voice[1]) == html.unescape(voice[2])
        found.append((start, end, html.unescape(voice[1])))
    return found


def test_webvtt_is_read_back(hostile: Timeline) -> None:
    found = cues(to_webvtt(meeting()))
    assert found[0] == ("00:00:00.500", "00:00:04.250", "Ann-Marie")
    assert [name for *_, name in found] == [each.label for each in meeting().segments]
    names = [name for *_, name in cues(to_webvtt(hostile))]
    assert names[:2] == list(HOSTILE[:2])
    assert names[5].startswith("two lines ")
    assert cues(to_webvtt(UNREADABLE)) == []


def test_hours_and_cues_of_no_length() -> None:
    made = timeline([segment(359999.9996, 360000.0, "A"), segment(360001.0, 360001.0002, "B")], 360002.0, windows=False)
    assert cues(to_webvtt(made)) == [
        ("100:00:00.000", "100:00:00.001", "A"),
        ("100:00:01.000", "100:00:01.001", "B"),
    ]


def test_srt_is_read_back(hostile: Timeline) -> None:
    for made in (meeting(), hostile):
        blocks = to_srt(made).removesuffix("\n").split("\n\n")
        assert len(blocks) == len(made.segments)
        for number, (block, each) in enumerate(zip(blocks, made.segments, strict=True), start=1):
            first, times, text = block.split("\n")
            assert first == str(number)
            found = re.fullmatch(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> (\d\d):(\d\d):(\d\d),(\d{3})", times)
            assert found is not None
            h, m, s, ms = map(int, found.groups()[4:])
            assert 3600 * h + 60 * m + s + ms / 1000 == each.end
            assert text
            assert "-->" not in text
    assert to_srt(UNREADABLE) == ""


def test_csv_has_a_row_a_segment() -> None:
    rows = [dict(zip(CSV_FIELDS, row, strict=True)) for row in csv_rows(meeting())]
    assert rows[2] == {
        "path": "talks/a meeting.wav", "start": 9.5, "end": 14.0, "status": "identified", "decision": "Ann-Marie",
        "nearest": "Ann-Marie", "llr": 1.5, "probability": 0.71, "speech_seconds": 4.05, "reason": None,
    }  # fmt: skip
    assert rows[3]["llr"] is rows[3]["probability"] is rows[3]["decision"] is None
    assert rows[3]["reason"] == "too_short"
    assert (rows[4]["status"], rows[4]["decision"], rows[4]["nearest"]) == ("unknown", None, "Bo Ek")


def test_csv_says_why_there_are_no_segments() -> None:
    (row,) = csv_rows(UNREADABLE)
    assert dict(zip(CSV_FIELDS, row, strict=True)) == dict.fromkeys(CSV_FIELDS) | {
        "path": "x.wav", "status": "undecided", "speech_seconds": 0.0, "reason": "no_speech"
    }  # fmt: skip


def test_csv_of_any_names_is_one_record_each(hostile: Timeline) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(csv_rows(hostile))
    assert [row[4] for row in csv.reader(io.StringIO(file.getvalue(), newline=""))] == list(HOSTILE)


def test_seconds_are_summed_most_first_and_unknown_last() -> None:
    assert seconds_by_speaker(meeting()) == [
        ("Ann-Marie", 16.25, 3), ("Bo Ek", 4.25, 1), ("unknown", 5.0, 1), ("undecided", 0.5, 1)
    ]  # fmt: skip
    assert seconds_by_speaker(UNREADABLE) == []
    sums = seconds_by_speaker(long_meeting(windows=False))
    assert sum(n for *_, n in sums) == 5000
    assert sum(seconds for _, seconds, _ in sums) == pytest.approx(sum(e.seconds for e in long_meeting().segments))
    assert [s for _, s, _ in sums[:-1]] == sorted((s for _, s, _ in sums[:-1]), reverse=True)


def test_a_speaker_called_unknown_is_not_somebody_unknown() -> None:
    made = timeline([segment(0, 1, "unknown"), segment(2, 5, None), segment(6, 8, "undecided")], 9.0)
    assert [(label, status) for label, status, _ in lanes(made)] == [
        ("undecided", "identified"), ("unknown", "identified"), ("unknown", "unknown")
    ]  # fmt: skip


def test_bytes_that_are_no_text_can_be_written() -> None:
    made = replace(timeline([segment(0, 1, "a\udce9")], 2.0), path="talk\udce9.wav")
    for text in (to_rttm(made), to_audacity(made), to_webvtt(made), to_srt(made)):
        assert "\\udce9" in text.encode("utf-8").decode("utf-8")


def test_times_in_words() -> None:
    assert [clock(75.0), clock(3675.2), clock(9.96, None, 0.1), clock(59.96, None, 0.1)] == [
        "1:15", "1:01:15", "0:10.0", "1:00.0"
    ]  # fmt: skip
    assert [clock(5, 30), clock(5, 90), clock(5, 3600)] == ["5", "0:05", "0:00:05"]
    assert [spoken(s) for s in (0.04, 59.94, 59.96, 75.0, 3599.7)] == [
        "0.0 s",
        "59.9 s",
        "1:00 min",
        "1:15 min",
        "1:00:00 h",
    ]
    for length in (0.5, 7, 30, 61, 3600, 40000, 1e7):
        assert length / tick_step(length, 12) <= 12
