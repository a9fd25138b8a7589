"""Manifests: read a row at a time; every error names its file and row."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import pytest

from speakerid.audio import Recording, is_manifest, read_manifest
from speakerid.errors import ManifestError


def write(tmp_path: Path, content: str | bytes, name: str = "list.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_all_columns(tmp_path):
    path = write(
        tmp_path,
        "path,speaker,split,start,end,session\n"
        "a.wav,alice,enroll,,,monday\n"
        f"{tmp_path}/elsewhere/b.wav,bob,test,1.5,4,\n"
        '"sub/with, comma.wav", Zoë ,,0,1e1,\n',
    )
    assert list(read_manifest(path)) == [
        Recording(str(tmp_path / "a.wav"), "alice", "enroll", None, None, "monday", "list.csv, row 2"),
        Recording(str(tmp_path / "elsewhere" / "b.wav"), "bob", "test", 1.5, 4.0, None, "list.csv, row 3"),
        Recording(str(tmp_path / "sub" / "with, comma.wav"), "Zoë", None, 0.0, 10.0, None, "list.csv, row 4"),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz", "LIST.CSV.GZ"])
def test_byte_order_marks_line_ends_and_gzip(tmp_path, ending, mark, name):
    content = mark + ending.join(["speaker,path", "émile,ü.wav", "", "bob,b.wav", ""]).encode()
    path = write(tmp_path, gzip.compress(content) if name.lower().endswith("gz") else content, name)
    got = list(read_manifest(path))
    assert [(Path(one.path).name, one.speaker) for one in got] == [("ü.wav", "émile"), ("b.wav", "bob")]
    assert got[1].origin == f"{name}, row 4"  # the blank line counts, as in an editor


def test_without_speakers(tmp_path):
    path = write(tmp_path, "path\na.wav\n")
    with pytest.raises(ManifestError, match="no column 'speaker'"):
        list(read_manifest(path))
    assert [one.speaker for one in read_manifest(path, require_speaker=False)] == [None]
    path = write(tmp_path, "path,speaker\na.wav,\nb.wav,bob\n")
    assert [one.speaker for one in read_manifest(path, require_speaker=False)] == [None, "bob"]


GOOD = "path,speaker,split,start,end\n"
WRONG = [
    ("a.wav,al", 2, "2 fields, but the header has 5"),
    ("a.wav,al,,,,,x", 2, "7 fields"),
    (",al,,,", 2, "path is empty"),
    ("  ,al,,,", 2, "path is empty"),
    ("a.wav,,,,", 2, "speaker is empty"),
    ("a.wav, ,,,", 2, "speaker is empty"),
    ("a.wav,al,train,,", 2, "split is 'train'"),
    ("a.wav,al,Test,,", 2, "split is 'Test'"),
    ("a.wav,al,,x,", 2, "start is 'x'"),
    ("a.wav,al,,-1,", 2, "start is '-1'"),
    ("a.wav,al,,nan,", 2, "start is 'nan'"),
    ("a.wav,al,,,inf", 2, "end is 'inf'"),
    ("a.wav,al,,,1e999", 2, "end is '1e999'"),
    ("a.wav,al,,1_0,", 2, "start is '1_0'"),
    ("a.wav,al,,2,1", 2, r"end \(1 s\) must be after start \(2 s\)"),
    ("a.wav,al,,2,2", 2, "must be after"),
    ("a.wav,al,,,0", 2, "must be after"),
    ("ok.wav,al,,,\n\n\nb.wav", 5, "1 fields"),
    ('"two\nlines.wav",al,,,\nb.wav', 4, "1 fields"),
    ('ok.wav,al,,,\n"two\nlines.wav",al,no,,', 3, "split is 'no'"),
    ('ok.wav,al,,,\n"open,al,,,\nb.wav,bob,,,', 3, "malformed CSV"),
    ('"a"b.wav,al,,,', 2, "malformed CSV"),
    (f"{'x' * 200_000},al,,,", 2, "malformed CSV"),
    ("ok.wav,al,,,\na\0.wav,al,,,", 3, "null bytes"),
]


@pytest.mark.parametrize(("rows", "number", "said"), WRONG)
@pytest.mark.parametrize("name", ["my list.csv", "my list.csv.gz"])
def test_a_wrong_row_is_named(tmp_path, rows, number, said, name):
    content = (GOOD + rows).encode()
    path = write(tmp_path, gzip.compress(content) if name.endswith("gz") else content, name)
    with pytest.raises(ManifestError, match=said) as caught:
        list(read_manifest(path))
    assert str(caught.value).startswith(f"{path}, row {number}: ")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_utf_8_have_their_own_row(tmp_path):
    rows = b"".join(b"%d.wav,al,,,\n" % number for number in range(5000))
    path = write(tmp_path, GOOD.encode() + rows + b"caf\xe9.wav,al,,,\n")
    with pytest.raises(ManifestError, match=r"row 5002: byte 4 of the line is not UTF-8"):
        list(read_manifest(path))
    assert len(list(islice(read_manifest(path), 5000))) == 5000  # what comes before is read
    with pytest.raises(ManifestError, match="row 1"):
        list(read_manifest(write(tmp_path, GOOD.encode("utf-16"))))


HEADERS = [
    ("", "empty"),
    ("\n\n", "empty"),
    ("path,speaker,sex\n", "unknown column 'sex'"),
    ("path;speaker\n", r"unknown column 'path;speaker'; .*separated by commas"),
    ("Path,speaker\n", "unknown column 'Path'"),
    ("speaker\n", "no column 'path'"),
    ("path,speaker,path\n", "'path' is there twice"),
    ("a.wav,alice\n", "unknown column 'a.wav'"),
]


@pytest.mark.parametrize(("header", "said"), HEADERS)
def test_a_wrong_header_is_named(tmp_path, header, said):
    path = write(tmp_path, header + "x.wav,x\n" if header.strip() else header)
    with pytest.raises(ManifestError, match=said) as caught:
        list(read_manifest(path))
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        list(read_manifest(tmp_path / "none.csv"))
    with pytest.raises(ManifestError, match="directory"):
        list(read_manifest(tmp_path))
    with pytest.raises(ManifestError, match="not a possible path"):
        list(read_manifest("a\0.csv"))
    with pytest.raises(ManifestError, match="1 MiB"):
        list(read_manifest(write(tmp_path, b"x" * (2 << 20))))


def test_damaged_gzip(tmp_path):
    rows = "".join(f"{number:x}.wav,speaker {number * 7919 % 1000}\n" for number in range(5000))
    whole = gzip.compress(("path,speaker\n" + rows).encode())
    for content in (whole[: len(whole) // 2], b"no gzip at all", whole[:100] + b"\x55" * 400 + whole[500:]):
        path = write(tmp_path, content, "list.csv.gz")
        with pytest.raises(ManifestError, match=r"row \d+: the gzip'd file is damaged") as caught:
            list(read_manifest(path))
        assert str(path) in str(caught.value)


def test_a_manifest_streams(tmp_path):
    path = write(tmp_path, "path,speaker\n" + "a.wav,al\n" * 10 + "wrong\n")
    rows = read_manifest(path)
    assert [next(rows).origin for _ in range(10)][-1] == "list.csv, row 11"
    with pytest.raises(ManifestError, match="row 12"):
        next(rows)
    half = read_manifest(path)
    next(half)
    half.close()  # an open file would be a ResourceWarning, which is an error here


def test_a_file_called_minus_is_not_standard_input(tmp_path, monkeypatch):
    write(tmp_path, "path,speaker\n-,al\n")
    monkeypatch.chdir(tmp_path)
    (recording,) = read_manifest("list.csv")
    assert recording.path == "./-"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.csv", True), ("a.CSV", True), ("a.csv.gz", True), ("a.gz", False), ("csv", False), ("a.csv/b.wav", False)],
)
def test_manifests_are_known_by_name(name, expected):
    assert is_manifest(name) is expected
    assert is_manifest(Path(name)) is expected
