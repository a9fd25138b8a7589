"""Turns in RTTM and stretches in UEM: read strictly, written so that they are read again; parts where one voice speaks."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.audio.rttm import SpeakerTurn, is_rttm, one_voice, read_rttm, read_uem, rttm_line
from speakerid.errors import ManifestError


def write(tmp_path: Path, content: str | bytes, name: str = "turns.rttm") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def line(label: str = "A", start: object = "1.0", duration: object = "2.5", file: str = "call") -> str:
    return f"SPEAKER {file} 1 {start} {duration} <NA> <NA> {label} <NA> <NA>\n"


# RTTM


def test_turns_by_recording(tmp_path):
    path = write(
        tmp_path,
        line("B", "7.25", "0.5", "second")
        + line("B", "3", "1")
        + line("A", "1.5", "2.")
        + line("A", ".5", "1e1", "second")
        + line("C", "3.0", "0.25"),
    )
    found = read_rttm(path)
    assert list(found) == ["second", "call"]
    assert found["second"] == (SpeakerTurn("second", "A", 0.5, 10.5), SpeakerTurn("second", "B", 7.25, 7.75))
    # those that begin together are in the order of the file
    assert [turn.label for turn in found["call"]] == ["A", "B", "C"]


def test_what_is_passed_over(tmp_path):
    path = write(
        tmp_path,
        ";; a comment of any kind\n"
        "SPKR-INFO call 1 <NA> <NA> <NA> adult_male A <NA>\n"
        "\n \t \n"
        "LEXEME call 1 0.1 0.2 word lex A 0.9 <NA>\n"
        "  ;;\n"
        "NON-SPEECH call 1 0.0 99 <NA> noise <NA> <NA>\n" + line() + "A/P x\n",
    )
    assert read_rttm(path) == {"call": (SpeakerTurn("call", "A", 1.0, 3.5),)}


def test_nine_fields_tabs_windows_lines_and_byte_order_mark(tmp_path):
    path = write(tmp_path, "\ufeffSPEAKER\tünï \t1  2.000 1.000\t<NA> <NA> Zoë 0.87\r\n \tSPEAKER a 2 0 1 x y 🎙 <NA> 3")
    assert read_rttm(path) == {
        "ünï": (SpeakerTurn("ünï", "Zoë", 2.0, 3.0),),
        "a": (SpeakerTurn("a", "🎙", 0.0, 1.0),),
    }


def test_turns_of_no_length_are_dropped(tmp_path):
    path = write(tmp_path, line("A", 1, 0) + line("B", 2, "0.000") + line("A", 4, "1e-30") + line("A", 1, 1, "other"))
    assert read_rttm(path) == {"call": (), "other": (SpeakerTurn("other", "A", 1.0, 2.0),)}


def test_a_turn_ends_where_the_next_begins(tmp_path):
    """0.1 + 0.2 is not 0.3 in binary."""
    first, second = read_rttm(write(tmp_path, line("A", "0.1", "0.2") + line("A", "0.3", "0.4")))["call"]
    assert first.end == second.start
    assert second.end == 0.7


WRONG = [
    ("SPEAKER call 1 1.0 2.0 <NA> <NA> A\n", "8 fields; RTTM has 9 or 10, `SPEAKER file"),
    ("SPEAKER\n", "1 field; RTTM"),
    (line("Mary Ann"), "11 fields; .*names cannot have spaces"),
    (line("<NA>"), "no speaker"),
    ("Speaker call 1 1 2 <NA> <NA> A <NA> <NA>\n", "'Speaker' is no type of RTTM"),
    ("path,speaker\n", "'path,speaker' is no type of RTTM; a turn is `SPEAKER file"),
    ("; one semicolon\n", "';' is no type"),
    (f"{'x' * 30_000}\n", "'x{60}…' is no type"),
    (line(start="-0.5"), "the start is '-0.5'; it must be a number of seconds, 0 or more"),
    (line(start="<NA>"), "the start is '<NA>'"),
    (line(start="nan"), "the start is 'nan'"),
    (line(start="1_000"), "the start is '1_000'"),
    (line(start="1,5"), "the start is '1,5'"),
    (line(start="\u0661"), "the start is"),
    (line(start="1e999"), "the start is '1e999'"),
    (line(start="1e99999999999"), "the start is"),
    (line(start="9" * 400), "the start is '9{60}…'"),
    (line(duration="-1"), "the duration is '-1'"),
    (line(duration="inf"), "the duration is 'inf'"),
    (line(start="1.7e308", duration="1.7e308"), "the end is beyond"),
    ("SPEAKER ca\0ll 1 1 2 <NA> <NA> A <NA> <NA>\n", "null bytes"),
    ("x" * 200_000 + "\n", "more than 64 KiB"),
    (b"SPEAKER caf\xe9 1 1 2 <NA> <NA> A <NA> <NA>\n", "byte 12 of the line is not UTF-8"),
    ("\u202e\x1b[31m a\n", "is no type"),
]


@pytest.mark.parametrize(("content", "said"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_row_is_named(tmp_path, content, said):
    data = content if isinstance(content, bytes) else content.encode()
    path = write(tmp_path, b";; first\n\n" + line().encode() + data + b"FALSE\n", "my turns.rttm")
    with pytest.raises(ManifestError, match=said) as caught:
        read_rttm(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, row 4: ")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 300


@pytest.mark.parametrize(
    "content", ["", "\n\r\n", ";; nothing\n", "\ufeff", "LEXEME call 1 0.1 0.2 word lex A 0.9 <NA>\n"]
)
def test_a_list_without_turns(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(ManifestError, match="no turns; RTTM has a line for each, `SPEAKER file") as caught:
        read_rttm(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("read", [read_rttm, read_uem])
def test_files_that_cannot_be_read(tmp_path, read):
    with pytest.raises(ManifestError, match="no such file"):
        read(tmp_path / "none.rttm")
    with pytest.raises(ManifestError, match="directory"):
        read(tmp_path)
    with pytest.raises(ManifestError, match="not a possible path"):
        read("a\0.rttm")
    with pytest.raises(ManifestError, match="row 1: a line of more than 64 KiB"):
        read(write(tmp_path, b"x" * (2 << 20)))
    with pytest.raises(ManifestError, match="row 1: null bytes"):
        read(write(tmp_path, b"RIFF\0\0\0\0WAVE"))
    with pytest.raises(ManifestError, match=r"a\\nb\.rttm, row 1"):
        read(write(tmp_path, "x y\n", "a\nb.rttm"))


@given(st.binary(max_size=200))
def test_any_bytes_are_turns_or_a_named_error(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("turns"), content)
    for read in (read_rttm, read_uem):
        with pytest.raises(ManifestError) as caught:
            read(path)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert message.isprintable()


def test_the_ending_tells():
    assert is_rttm("a.rttm")
    assert is_rttm(Path("A.RTTM"))
    assert not is_rttm("a.rttm.wav")
    assert not is_rttm("rttm")


@pytest.mark.corpora
def test_the_meetings(corpora):
    found = read_rttm(corpora / "ami-timelines" / "truth.rttm")
    assert {len({turn.label for turn in turns}) for turns in found.values()} <= {1, 2, 3, 4}
    for recording, turns in found.items():
        assert (corpora / "ami-timelines" / f"{recording}.flac").exists()
        assert all(0 <= turn.start < turn.end <= 31 for turn in turns)


# UEM


def test_stretches_by_recording(tmp_path):
    path = write(
        tmp_path,
        ";; file channel start end\nb 1 10 20\na 1 0.5 3\nb 1 0 5\r\n\nb 2 4 7.5\nb 1 20 21\na 1 9 9\nc 1 2 2\n",
    )
    found = read_uem(path)
    assert found == {"b": ((0.0, 7.5), (10.0, 21.0)), "a": ((0.5, 3.0),), "c": ()}
    assert list(found) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a 1 0\n", r"row 2: 3 fields; UEM has 4, `file channel start end`"),
        ("a 1 0 1 2\n", "row 2: 5 fields"),
        ("a 1 -1 2\n", "row 2: the start is '-1'; it must be a number of seconds"),
        ("a 1 0 end\n", "row 2: the end is 'end'"),
        ("a 1 5 4.5\n", r"row 2: end \(4.5 s\) must not be before start \(5 s\)"),
    ],
)
def test_a_wrong_stretch_is_named(tmp_path, content, said):
    path = write(tmp_path, "a 1 0 1\n" + content, "x.uem")
    with pytest.raises(ManifestError, match=said):
        read_uem(path)


def test_a_map_without_stretches(tmp_path):
    with pytest.raises(ManifestError, match="no stretches; UEM has a line for each"):
        read_uem(write(tmp_path, ";;\n", "x.uem"))


# Writing


def test_a_line():
    assert rttm_line(SpeakerTurn("call", "Zoë", 1.5, 4.0)) == "SPEAKER call 1 1.500 2.500 <NA> <NA> Zoë <NA> <NA>"
    assert rttm_line(SpeakerTurn("my call\t1", "Mary Ann", 0, 12345.6789)).split(" ") == (
        ["SPEAKER", "my_call_1", "1", "0.000", "12345.679", "<NA>", "<NA>", "Mary_Ann", "<NA>", "<NA>"]
    )


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("", "_"),
        ("a\r\nb", "a__b"),
        ("a\u00a0b\u2028c\x1bd", "a_b_c_d"),
        ("<NA>", "_NA_"),
        ("x\udcff", r"x\udcff"),
        ("é 👩‍🚀", "é_👩‍🚀"),
    ],
)
def test_names_are_one_field(name, field):
    fields = rttm_line(SpeakerTurn(name, name, 0.0, 1.0)).split()
    assert (len(fields), fields[1], fields[7]) == (10, field, field)


def test_turns_that_touch_still_do():
    first, second = SpeakerTurn("a", "b", 0.0004, 1.0006), SpeakerTurn("a", "b", 1.0006, 2.0)
    assert [rttm_line(turn).split()[3:5] for turn in (first, second)] == [["0.000", "1.001"], ["1.001", "0.999"]]


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (0, math.inf), (math.nan, 1), (1, math.nan)])
def test_impossible_times_are_not_written(start, end):
    with pytest.raises(ValueError, match="a turn from"):
        rttm_line(SpeakerTurn("a", "b", start, end))


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12).filter(
    lambda text: text != "<NA>"
)
MILLISECONDS = st.integers(0, 10**8)


@given(st.lists(st.tuples(WORD, WORD, MILLISECONDS, st.integers(1, 10**6)), min_size=1, max_size=10))
def test_what_is_written_is_read(tmp_path_factory, rows):
    turns = [
        SpeakerTurn(recording, label, start / 1000, (start + length) / 1000) for recording, label, start, length in rows
    ]
    path = write(tmp_path_factory.mktemp("turns"), "".join(rttm_line(turn) + "\n" for turn in turns))
    expected: dict[str, Any] = {}
    for turn in turns:
        expected.setdefault(turn.recording, []).append(turn)
    assert read_rttm(path) == {
        name: tuple(sorted(found, key=lambda turn: turn.start)) for name, found in expected.items()
    }


# One voice


def spans(*turns: tuple[str, float, float]) -> list[tuple[str, float, float]]:
    found = one_voice(SpeakerTurn("call", *turn) for turn in turns)
    assert {turn.recording for turn in found} <= {"call"}
    return [(turn.label, turn.start, turn.end) for turn in found]


def test_one_voice_by_hand():
    assert spans() == []
    assert spans(("b", 3, 6), ("a", 0, 4)) == [("a", 0, 3), ("b", 4, 6)]
    assert spans(("a", 0, 10), ("b", 2, 3)) == [("a", 0, 2), ("a", 3, 10)]
    assert spans(("a", 0, 4), ("a", 2, 6), ("a", 6, 7), ("b", 7, 8)) == [("a", 0, 7), ("b", 7, 8)]
    assert spans(("a", 0, 4), ("b", 0, 4)) == []
    assert spans(("a", 0, 4), ("a", 0, 4), ("b", 5, 5)) == [("a", 0, 4)]
    assert spans(("a", 0, 4), ("b", 3, 8), ("c", 7, 9)) == [("a", 0, 3), ("b", 4, 7), ("c", 8, 9)]


def test_parts_shorter_than_a_millisecond_are_dropped():
    assert spans(("a", 0, 4), ("b", 3.9996, 5), ("c", 5.0009, 5.0015)) == [("a", 0, 3.9996), ("b", 4, 5)]
    assert spans(("a", 1, 1.001), ("b", 2, 2.0009)) == [("a", 1, 1.001)]
    # short turns that together are longer
    assert spans(*(("a", number / 2048, (number + 1) / 2048) for number in range(4))) == [("a", 0, 4 / 2048)]


def test_recordings_are_not_mixed():
    with pytest.raises(ValueError, match="turns of 2 recordings"):
        one_voice([SpeakerTurn("a", "x", 0, 1), SpeakerTurn("b", "x", 0, 1)])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(0, 20)), max_size=12))
def test_one_voice_is_one_voice(rows):
    turns = [(label, start / 8, (start + length) / 8) for label, start, length in rows]
    found = spans(*turns)
    for number in range(500):
        time = number / 8 + 1 / 16
        speaking = {label for label, start, end in turns if start <= time < end}
        alone = [label for label, start, end in found if start <= time < end]
        assert alone == (sorted(speaking) if len(speaking) == 1 else [])
    for (label, _start, end), (next_label, start, _end) in pairwise(found):
        assert end < start or (end == start and label != next_label)
