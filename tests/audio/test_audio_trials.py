"""Trial lists: read a line at a time; every error names its file and row."""

from __future__ import annotations

import gzip
import os
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.audio import Trial, read_trials
from speakerid.errors import ManifestError


def write(tmp_path: Path, content: str | bytes, name: str = "trials.txt") -> Path:
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.lower().endswith(".gz") else data)
    return path


def test_nist_style(tmp_path):
    path = write(tmp_path, "alice a.wav target\nalice sub/b.sph nontarget\n1 /elsewhere/c.wav target\n")
    assert list(read_trials(path)) == [
        Trial("alice", str(tmp_path / "a.wav"), True, "trials.txt, row 1"),
        Trial("alice", str(tmp_path / "sub/b.sph"), False, "trials.txt, row 2"),
        Trial("1", "/elsewhere/c.wav", True, "trials.txt, row 3"),
    ]


def test_voxceleb_style(tmp_path):
    path = write(tmp_path, "1 id10270/x6u/00001.wav id10270/8jE/00008.wav\n0 id10270/x6u/00001.wav /b.wav\n")
    first = str(tmp_path / "id10270/x6u/00001.wav")
    assert list(read_trials(path)) == [
        Trial(first, str(tmp_path / "id10270/8jE/00008.wav"), True, "trials.txt, row 1", model_is_path=True),
        Trial(first, "/b.wav", False, "trials.txt, row 2", model_is_path=True),
    ]


@pytest.mark.parametrize("root", ["wav", "/data/vox1 test/wav", Path("a/b")])
def test_paths_are_relative_to_a_root_that_is_given(tmp_path, root):
    (trial,) = read_trials(write(tmp_path, "0 a.wav b.wav\n"), root=root)
    assert (trial.model, trial.segment) == (f"{root}/a.wav", f"{root}/b.wav")
    (trial,) = read_trials(write(tmp_path, "a b.wav target\n"), root=root)
    assert (trial.model, trial.segment) == ("a", f"{root}/b.wav")


def test_a_model_called_1_is_nist_style(tmp_path):
    assert [(one.model, one.target) for one in read_trials(write(tmp_path, "1 a.wav nontarget\n0 b.wav target\n"))] == [
        ("1", False),
        ("0", True),
    ]
    with pytest.raises(ManifestError, match=r"row 2: the label is 'b\.wav'; it must be target or nontarget"):
        list(read_trials(write(tmp_path, "1 a.wav nontarget\n1 a.wav b.wav\n")))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["list", "list.txt.gz", "LIST.GZ"])
def test_byte_order_marks_line_ends_comments_and_gzip(tmp_path, ending, mark, name):
    lines = [
        "# trials of the first day",
        "",
        "#",
        " \t ",
        "émile ü.wav target",
        "",
        " #\tmore",
        "#1  b.wav   nontarget ",
    ]
    path = write(tmp_path, mark + ending.join(lines).encode(), name)
    assert list(read_trials(path)) == [
        Trial("émile", str(tmp_path / "ü.wav"), True, f"{name}, row 5"),
        Trial("#1", str(tmp_path / "b.wav"), False, f"{name}, row 8"),
    ]


def test_tabs_let_names_have_spaces(tmp_path):
    path = write(tmp_path, "Mary Ann\tsub folder/my call.wav\ttarget\n Zoë 🎙 \tx.wav\tnontarget\t\n")
    assert [(one.model, one.segment) for one in read_trials(path)] == [
        ("Mary Ann", str(tmp_path / "sub folder/my call.wav")),
        ("Zoë 🎙", str(tmp_path / "x.wav")),
    ]
    path = write(tmp_path, "1\ta b.wav\tc d.wav\n")
    assert [one.model for one in read_trials(path)] == [str(tmp_path / "a b.wav")]


def test_spaces_of_other_scripts_belong_to_names(tmp_path):
    (trial,) = read_trials(write(tmp_path, "a\u00a0b c\u3000d.wav target\n"))
    assert (trial.model, Path(trial.segment).name) == ("a\u00a0b", "c\u3000d.wav")


NIST = "alice a.wav target\n"
VOXCELEB = "1 a.wav b.wav\n"
WRONG = [
    ("alice a.wav\n", 1, r"2 fields, separated by spaces; a trial is `model segment target\|nontarget` or `1\|0 path"),
    ("alice\n", 1, "1 field, "),
    ("alice a.wav target 1\n", 1, "4 fields, .* by tabs if names have spaces"),
    ("alice\ta.wav\ttarget\tx\n", 1, "4 fields, separated by tabs; a trial is [^;]*$"),
    ("alice\t\ttarget\n", 1, "field 2 is empty"),
    ("alice\t  \ttarget\n", 1, "field 2 is empty"),
    ("alice a.wav tgt\n", 1, r"neither .* \('alice' \.\.\. 'tgt'\)"),
    ("alice a.wav imp\n", 1, "neither a first field 1 or 0 nor a last field target or nontarget"),
    ("alice a.wav Target\n", 1, "neither"),
    ("2 a.wav b.wav\n", 1, "neither"),
    ("01 a.wav b.wav\n", 1, "neither"),
    ("true a.wav b.wav\n", 1, "neither"),
    ("modelid segmentid label\nalice a.wav target\n", 1, "neither"),
    ("path,speaker\na.wav,alice\n", 1, "1 field, "),
    ("#no comment\n", 1, "2 fields"),
    (NIST + "alice a.wav imp\n", 2, "the label is 'imp'; it must be target or nontarget"),
    (NIST + "alice a.wav TARGET\n", 2, "the label is 'TARGET'"),
    (NIST + VOXCELEB, 2, r"the label is 'b\.wav'; .*as in the first trial"),
    (NIST + "\n# x\nalice a.wav\n", 4, "2 fields"),
    (NIST + "Mary Ann a.wav target\n", 2, "4 fields, .*by tabs if names have spaces"),
    (VOXCELEB + NIST, 2, "the label is 'alice'; it must be 1 or 0"),
    (VOXCELEB + "1.0 a.wav b.wav\n", 2, r"the label is '1\.0'"),
    (VOXCELEB + "-1 a.wav b.wav\n", 2, "the label is '-1'"),
    (VOXCELEB + "\u0661 a.wav b.wav\n", 2, "the label is"),
    (VOXCELEB + "1 a.wav\n", 2, "2 fields"),
    ("alice\ta.wav\ttarget\nalice a.wav target\n", 2, "1 field, separated by tabs"),
    (NIST + "al\0ice a.wav target\n", 2, "null bytes"),
    (NIST + "a" * 200_000 + "\n", 2, "more than 64 KiB"),
    (NIST + f"alice a.wav {'x' * 60_000}\n", 2, "the label is 'x{60}…'"),
    (f"{'y' * 30_000} a.wav {'x' * 30_000}\n", 1, "neither"),
    ("a\u2028b \u202ec \x1b[31m\n", 1, "neither"),
    ("a b c\rd\n", 1, "neither"),
]


@pytest.mark.parametrize(("content", "number", "said"), WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("name", ["my trials.txt", "my trials.txt.gz"])
def test_a_wrong_row_is_named(tmp_path, content, number, said, name):
    path = write(tmp_path, content, name)
    with pytest.raises(ManifestError, match=said) as caught:
        list(read_trials(path))
    message = str(caught.value)
    assert message.startswith(f"{path}, row {number}: ")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 300


@pytest.mark.parametrize("content", ["", "\n\r\n", "# nothing\n#\n", "\ufeff"])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_a_list_without_trials(tmp_path, content, name):
    path = write(tmp_path, content, name)
    with pytest.raises(ManifestError, match=r"no trials; a line must be `model segment") as caught:
        list(read_trials(path))
    assert str(caught.value).startswith(f"{path}: ")


def test_bytes_that_are_not_utf_8_have_their_own_row(tmp_path):
    rows = b"".join(b"alice %d.wav target\n" % number for number in range(5000))
    path = write(tmp_path, rows + b"alice caf\xe9.wav target\n")
    with pytest.raises(ManifestError, match=r"row 5001: byte 10 of the line is not UTF-8"):
        list(read_trials(path))
    assert len(list(islice(read_trials(path), 5000))) == 5000  # what comes before is read
    for encoding in ("utf-16", "utf-32"):
        with pytest.raises(ManifestError, match="row 1"):
            list(read_trials(write(tmp_path, NIST.encode(encoding))))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        list(read_trials(tmp_path / "none.txt"))
    with pytest.raises(ManifestError, match="no such file"):
        list(read_trials(tmp_path / "none.txt.gz"))
    with pytest.raises(ManifestError, match="directory"):
        list(read_trials(tmp_path))
    with pytest.raises(ManifestError, match="not a possible path"):
        list(read_trials("a\0.txt"))
    with pytest.raises(ManifestError, match="64 KiB"):
        list(read_trials(write(tmp_path, b"x" * (2 << 20))))
    with pytest.raises(ManifestError, match="row 1: null bytes"):
        list(read_trials(write(tmp_path, b"RIFF\0\0\0\0WAVE")))


def test_damaged_gzip(tmp_path):
    whole = gzip.compress("".join(f"model{n * 7919 % 1000} {n:x}.wav target\n" for n in range(5000)).encode())
    for content in (whole[: len(whole) // 2], b"no gzip at all", whole[:100] + b"\x55" * 400 + whole[500:]):
        path = tmp_path / "list.gz"
        path.write_bytes(content)
        with pytest.raises(ManifestError, match=r"row \d+: the gzip'd file is damaged") as caught:
            list(read_trials(path))
        assert str(path) in str(caught.value)


def test_a_list_streams(tmp_path):
    path = write(tmp_path, NIST * 10 + "wrong\n")
    rows = read_trials(path)
    assert [next(rows).origin for _ in range(10)][-1] == "trials.txt, row 10"
    with pytest.raises(ManifestError, match="row 11"):
        next(rows)
    half = read_trials(path)
    next(half)
    half.close()  # an open file would be a ResourceWarning, which is an error here


def test_a_pipe_is_read(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, NIST.encode())
    os.close(writing)
    try:
        assert [one.model for one in read_trials(f"/dev/fd/{reading}")] == ["alice"]
    finally:
        os.close(reading)


def test_a_file_called_minus_is_not_standard_input(tmp_path, monkeypatch):
    write(tmp_path, "1 - -\n")
    monkeypatch.chdir(tmp_path)
    (trial,) = read_trials("trials.txt")
    assert (trial.model, trial.segment) == ("./-", "./-")


def test_odd_names_of_the_list_are_shown_safely(tmp_path):
    path = write(tmp_path, NIST + "x\n", "a\nb.txt")
    rows = read_trials(path)
    assert next(rows).origin == r"a\nb.txt, row 1"
    with pytest.raises(ManifestError, match=r"a\\nb\.txt, row 2"):
        next(rows)


word = st.text(
    st.characters(exclude_characters=" \t\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda text: text[0] not in "#\ufeff/")
tabbed = st.text(
    st.characters(exclude_characters="\t\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda text: text == text.strip(" ") and text[0] not in "#\ufeff/")


@given(st.data(), st.booleans(), st.booleans())
def test_what_is_written_is_read(tmp_path_factory, data, tabs, voxceleb):
    name = tabbed if tabs else word
    rows = data.draw(st.lists(st.tuples(name, name, st.booleans()), min_size=1, max_size=10))
    if voxceleb:
        rows = [(model, segment, target) for model, segment, target in rows if segment not in ("target", "nontarget")]
        lines = [[str(int(target)), model, segment] for model, segment, target in rows]
    else:
        lines = [[model, segment, "target" if target else "nontarget"] for model, segment, target in rows]
    if not rows:
        return
    folder = tmp_path_factory.mktemp("trials")
    path = write(folder, "".join(("\t" if tabs else " ").join(line) + "\n" for line in lines))
    found = list(read_trials(path))
    assert [one.target for one in found] == [target for _model, _segment, target in rows]
    assert [one.segment for one in found] == [str(folder / segment) for _model, segment, _target in rows]
    assert [one.model for one in found] == [str(folder / model) if voxceleb else model for model, *_rest in rows]


@given(st.binary(max_size=200))
def test_any_bytes_are_trials_or_a_named_error(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("trials"), content)
    try:
        assert list(read_trials(path))
    except ManifestError as error:
        message = str(error)
    else:
        return
    assert message.startswith(str(path))
    assert message.isprintable()
