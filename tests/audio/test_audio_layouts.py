"""Corpora as they are unpacked: generated trees of the same shape, recognised and read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.audio import LAYOUTS, discover_layout, discover_speakers, recognise_layout
from speakerid.audio import layouts as module
from speakerid.errors import UsageError

LIBRISPEECH = [
    "LibriSpeech/SPEAKERS.TXT",
    "LibriSpeech/BOOKS.TXT",
    *(
        f"LibriSpeech/{subset}/{speaker}/{chapter}/{speaker}-{chapter}-{n:04d}.flac"
        for subset, speaker, chapter in [("dev-clean", 84, 121123), ("dev-clean", 84, 121550), ("test-other", 367, 130)]
        for n in range(2)
    ),
    "LibriSpeech/dev-clean/84/121123/84-121123.trans.txt",
]
VOXCELEB = [
    *(f"wav/id1000{s}/{video}/0000{n}.wav" for s in (1, 2) for video in ("1zcIwhmdeo4", "-7TMJtnhiPM") for n in (1, 3)),
    "vox1_meta.csv",
]
TIMIT = [
    *(
        f"{part}/{place}/{sentence}{ending}"
        for part, place in [("TRAIN", "DR1/FCJF0"), ("TRAIN", "DR1/MDAC0"), ("TEST", "DR8/MPAM1")]
        for sentence in ("SA1", "SA2", "SI1027", "SX37")
        for ending in (".WAV", ".PHN", ".TXT", ".WRD")
    ),
    "DOC/SPKRINFO.TXT",
    "README.DOC",
]
VOXFORGE = [
    f"{archive}/{name}"
    for archive in [
        "Aaron-20080318-kdl",
        "Aaron-20080318-lbb",
        "anonymous-20080425-fbm",
        "anonymous-20080425-khi",
        "ductapeguy-20070308a",
        "mary-ann-20101231-x_y",
        "rortiz-2009052612",
    ]
    for name in ("wav/a0001.wav", "wav/b0002.wav", "etc/PROMPTS", "LICENSE")
]
PLAIN = ["alice/monday/1.wav", "alice/tuesday/1.wav", "alice/2.wav", "bob/monday/a/b/c.ogg", "notes.txt"]
TREES = {"librispeech": LIBRISPEECH, "voxceleb": VOXCELEB, "timit": TIMIT, "voxforge": VOXFORGE, "folders": PLAIN}


def tree(root: Path, names) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def named(root: Path, found) -> dict[str, tuple[str | None, str | None]]:
    return {os.path.relpath(one.path, root): (one.speaker, one.session) for one in found.recordings}


def test_every_layout_has_a_tree_here():
    assert tuple(TREES) == LAYOUTS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_recognised_and_read_alike(tmp_path, layout):
    tree(tmp_path, TREES[layout])
    assert recognise_layout(tmp_path) == layout
    assert recognise_layout(f"{tmp_path}/") == layout
    found = discover_layout(tmp_path)
    assert found == discover_layout(str(tmp_path), layout)
    assert found.problems == ()
    audio = [name for name in TREES[layout] if name.lower().endswith((".wav", ".flac", ".ogg"))]
    assert set(named(tmp_path, found)) == set(audio)
    assert len(found.ignored) == len(TREES[layout]) - len(audio)
    assert all(one.split is None for one in found.recordings)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_from_the_current_folder(tmp_path, monkeypatch, layout):
    tree(tmp_path, TREES[layout])
    monkeypatch.chdir(tmp_path)
    here = [(Path(one.path), one.speaker, one.session) for one in discover_layout(".").recordings]
    there = [(Path(one.path), one.speaker, one.session) for one in discover_layout(tmp_path).recordings]
    assert here == [(path.relative_to(tmp_path), *rest) for path, *rest in there]


def test_librispeech(tmp_path):
    found = discover_layout(tree(tmp_path, LIBRISPEECH))
    assert named(tmp_path / "LibriSpeech", found) == {
        "dev-clean/84/121123/84-121123-0000.flac": ("84", "121123"),
        "dev-clean/84/121123/84-121123-0001.flac": ("84", "121123"),
        "dev-clean/84/121550/84-121550-0000.flac": ("84", "121550"),
        "dev-clean/84/121550/84-121550-0001.flac": ("84", "121550"),
        "test-other/367/130/367-130-0000.flac": ("367", "130"),
        "test-other/367/130/367-130-0001.flac": ("367", "130"),
    }
    assert named(tmp_path, discover_layout(tmp_path / "LibriSpeech/dev-clean")).keys() < named(tmp_path, found).keys()


def test_libritts_has_underscores(tmp_path):
    tree(tmp_path, ["train/19/198/19_198_000000_000001.wav", "train/19/198/19_198_000000_000001.normalized.txt"])
    assert list(named(tmp_path, discover_layout(tmp_path)).values()) == [("19", "198")]
    assert recognise_layout(tmp_path) == "librispeech"


def test_voxceleb(tmp_path):
    found = discover_layout(tree(tmp_path, VOXCELEB))
    assert [os.path.relpath(one.path, tmp_path) for one in found.recordings] == sorted(VOXCELEB[:-1])
    assert [(one.speaker, one.session) for one in found.recordings] == [
        (speaker, video) for speaker in ("id10001", "id10002") for video in ("-7TMJtnhiPM", "1zcIwhmdeo4") for _ in "ab"
    ]


@pytest.mark.parametrize("names", [TIMIT, [name.lower() for name in TIMIT]], ids=["capitals", "small"])
def test_timit_is_the_same_in_capitals_and_small_letters(tmp_path, names):
    found = discover_layout(tree(tmp_path, names))
    assert len(found.recordings) == 12
    assert {(one.speaker, one.session) for one in found.recordings} == {
        ("FCJF0", None),
        ("MDAC0", None),
        ("MPAM1", None),
    }
    assert found.problems == ()  # the documentation is no speaker without audio


def test_voxforge(tmp_path):
    found = discover_layout(tree(tmp_path, VOXFORGE))
    assert {session: speaker for speaker, session in named(tmp_path, found).values()} == {
        "Aaron-20080318-kdl": "Aaron",
        "Aaron-20080318-lbb": "Aaron",
        "anonymous-20080425-fbm": "anonymous-20080425-fbm",
        "anonymous-20080425-khi": "anonymous-20080425-khi",
        "ductapeguy-20070308a": "ductapeguy",
        "mary-ann-20101231-x_y": "mary-ann",
        "rortiz-2009052612": "rortiz",
    }


def test_plain_folders(tmp_path):
    found = discover_layout(tree(tmp_path, PLAIN))
    assert named(tmp_path, found) == {
        "alice/2.wav": ("alice", None),
        "alice/monday/1.wav": ("alice", "monday"),
        "alice/tuesday/1.wav": ("alice", "tuesday"),
        "bob/monday/a/b/c.ogg": ("bob", "monday"),
    }


def test_one_sub_folder_for_everybody_is_a_wrapping(tmp_path):
    tree(tmp_path, ["alice/wav/1.wav", "alice/wav/2.wav", "bob/flac/1.flac", "carol/x.wav"])
    assert discover_layout(tmp_path) == discover_speakers(tmp_path)
    assert {one.session for one in discover_layout(tmp_path).recordings} == {None}


def test_plain_folders_say_what_they_pass_over(tmp_path):
    tree(tmp_path, [*PLAIN, "loose.wav"])
    (tmp_path / "carol").mkdir()
    assert discover_layout(tmp_path).problems == discover_speakers(tmp_path).problems != ()


# Nearly, but not quite.
NOT_A_CORPUS = [
    "19/198/19-199-0000.flac",  # another chapter than its folder
    "19/198/20-198-0000.flac",  # another speaker
    "19/198/19-198.flac",  # no utterance
    "19/19-198-0000.flac",  # no chapter: an excerpt, in plain folders
    "x19/198/x19-198-0000.flac",
    "١٩/١٩٨/١٩-١٩٨-٠٠٠.flac",  # digits, but of another script
    "id1001/video/00001.wav",
    "id10001/00001.wav",
    "id10001/video/1.wav",
    "ID10001/video/00001.wav",
    "DR9/FCJF0/SA1.WAV",
    "DR1/XCJF0/SA1.WAV",
    "DR1/FCJF0/SB1.WAV",
    "DR1/FCJF0/SA1/SA1.WAV",
    "FCJF0/SA1.WAV",
    "Aaron-20080318-kdl/a0001.wav",
    "Aaron-2008/wav/a0001.wav",
    "Aaron-19991231-kdl/wav/a0001.wav",
    "Aaron-20080318-kdl/mp3/a0001.mp3",
    "Aaron-20080318+kdl/wav/a0001.wav",
    "-20080318-kdl/wav/a0001.wav",
]


@pytest.mark.parametrize("name", NOT_A_CORPUS)
def test_what_is_nearly_a_corpus_is_plain_folders(tmp_path, name):
    assert recognise_layout(tree(tmp_path, [name])) == "folders"


CORPUS = [
    "3/4/3-4-5.FLAC",
    "odd \n name/3/4/3-4-5.flac",
    "id00012/a b/00001.m4a",
    "dr3/mabc9/sx400.sph",
    "DR3/MABC9/SX400.WAV.wav",
    "émile 🎙-20080101-a/WAV/ü.wav",
    "a/b/c/d/Aaron-20080318-kdl/flac/x.flac",
]


@pytest.mark.parametrize("name", CORPUS)
def test_one_recording_is_enough(tmp_path, name):
    assert recognise_layout(tree(tmp_path, [name])) != "folders"
    assert len(discover_layout(tmp_path).recordings) == 1


def test_a_corpus_with_strays(tmp_path):
    tree(tmp_path, [*LIBRISPEECH, "loose.wav", "LibriSpeech/dev-clean/84/intro.mp3", "LibriSpeech/.hidden/x.wav"])
    (tmp_path / "LibriSpeech/dev-clean/174").mkdir()
    (tmp_path / "LibriSpeech/dev-clean/extra").mkdir()
    found = discover_layout(tmp_path, "librispeech")
    assert len(found.recordings) == 6
    problems = {os.path.relpath(path, tmp_path): message for path, message in found.problems}
    assert problems.keys() == {"loose.wav", "LibriSpeech/dev-clean/84/intro.mp3", "LibriSpeech/dev-clean/174"}
    assert "not where LibriSpeech has recordings" in problems["loose.wav"]
    assert "no audio files in 174" in problems["LibriSpeech/dev-clean/174"]
    for path, message in found.problems:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("layout", "empty"),
    [("voxceleb", "wav/id10009"), ("timit", "TRAIN/DR1/MXYZ0"), ("voxforge", "Zoe-20090101-abc")],
)
def test_a_speakers_folder_without_audio_is_a_problem(tmp_path, layout, empty):
    tree(tmp_path, [*TREES[layout], f"{empty}/etc/README"])
    found = discover_layout(tmp_path)
    assert [path for path, _message in found.problems] == [str(tmp_path / empty)]


def test_a_folder_with_other_problems_is_not_empty_too(tmp_path):
    tree(tmp_path, VOXCELEB)
    (tmp_path / "wav/id10005/video").mkdir(parents=True)
    (tmp_path / "wav/id10005/video/00001.wav").symlink_to("nowhere.wav")
    (tmp_path / "wav/id10006").symlink_to("id10005")
    ((path, message),) = discover_layout(tmp_path).problems
    assert path.endswith("id10005/video/00001.wav")
    assert "broken link" in message


def test_a_year_above_the_corpus_is_no_speaker(tmp_path):
    (tmp_path / "2023").mkdir()
    tree(tmp_path / "2024/top", [*LIBRISPEECH, "stray.wav"])
    found = discover_layout(tmp_path / "2024/top")
    assert [Path(path).name for path, _message in found.problems] == ["stray.wav"]


def test_two_corpora_in_one_folder_are_refused(tmp_path):
    tree(tmp_path, [*VOXCELEB, *TIMIT])
    with pytest.raises(
        UsageError, match=r"more than one way .*SA1\.WAV as in TIMIT, .*00001\.wav as in VoxCeleb"
    ) as caught:
        recognise_layout(tmp_path)
    assert "--layout timit or voxceleb" in str(caught.value)
    with pytest.raises(UsageError, match="more than one way"):
        discover_layout(tmp_path)
    found = discover_layout(tmp_path, "timit")  # 12 of 20: said, so done, and the others are problems
    assert (len(found.recordings), len(found.problems)) == (12, 8)
    with pytest.raises(UsageError, match="only 8 of 20 recordings lie as in VoxCeleb"):
        discover_layout(tmp_path, "voxceleb")


def test_a_corpus_among_plain_folders_is_refused(tmp_path):
    tree(tmp_path, [*PLAIN, *LIBRISPEECH])
    with pytest.raises(UsageError, match=r"as in plain folders, .*as in LibriSpeech|as in LibriSpeech.*plain folders"):
        recognise_layout(tmp_path)
    assert {one.speaker for one in discover_layout(tmp_path, "folders").recordings} == {"alice", "bob", "LibriSpeech"}


@pytest.mark.parametrize("layout", LAYOUTS[:-1])
@pytest.mark.parametrize("actual", LAYOUTS)
def test_a_wrong_layout_is_refused(tmp_path, layout, actual):
    if layout == actual:
        return
    tree(tmp_path, TREES[actual])
    with pytest.raises(UsageError, match=r"expected .* found .* as in ") as caught:
        discover_layout(tmp_path, layout)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: no recording lies as in ")
    assert f"try --layout {actual} or --layout auto" in message
    assert "\n" not in message


@pytest.mark.parametrize("layout", ["", "LibriSpeech", "voxceleb2", "auto ", "a\nb"])
def test_a_layout_that_does_not_exist(tmp_path, layout):
    tree(tmp_path, PLAIN)
    with pytest.raises(UsageError, match=r"it must be one of auto, librispeech, voxceleb") as caught:
        discover_layout(tmp_path, layout)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["auto", *LAYOUTS])
def test_a_folder_that_is_none_is_refused_in_the_same_words(tmp_path, layout):
    tree(tmp_path, ["file.wav", "text/x.txt"])
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "file.wav", tmp_path / "empty", tmp_path / "text", "a\0b", "-", ""):
        with pytest.raises(UsageError) as expected:
            discover_speakers(folder)
        with pytest.raises(UsageError) as caught:
            discover_layout(folder, layout)
        assert str(caught.value) == str(expected.value)
        if layout == "auto":
            with pytest.raises(UsageError) as caught:
                recognise_layout(folder)
            assert str(caught.value) == str(expected.value)
    with pytest.raises(UsageError, match=r"1 audio file lies directly|no recording lies as in"):
        discover_layout(tmp_path, layout)


def test_a_folder_called_minus_is_not_standard_input(tmp_path, monkeypatch):
    tree(tmp_path / "-", VOXCELEB)
    monkeypatch.chdir(tmp_path)
    assert recognise_layout("-") == "voxceleb"
    assert len(discover_layout("-").recordings) == 8


def test_loops_of_links_end(tmp_path):
    tree(tmp_path, VOXCELEB)
    (tmp_path / "wav/again").symlink_to(tmp_path)
    (tmp_path / "wav/id10001/up").symlink_to(tmp_path / "wav")
    (tmp_path / "wav/id10001/self").symlink_to("self")
    found = discover_layout(tmp_path)
    assert len({os.path.realpath(one.path) for one in found.recordings}) == len(found.recordings) == 8
    assert {one.speaker for one in found.recordings} == {"id10001", "id10002"}
    only = tree(tmp_path / "only", ["text.txt"])
    (only / "loop").symlink_to(only)
    with pytest.raises(UsageError, match="no audio in any sub-folder"):
        recognise_layout(only)


def test_names_that_are_not_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9-20080101-abc/wav/\xff.wav")
    tree(tmp_path, [name, name.replace("/wav/", "/elsewhere/")])
    (recording,) = discover_layout(tmp_path, "voxforge").recordings
    assert os.fsencode(recording.speaker) == b"caf\xe9"
    with pytest.raises(UsageError) as caught:
        recognise_layout(tmp_path)
    str(caught.value).encode("utf-8")


def test_a_folder_that_the_system_refuses(tmp_path, monkeypatch):
    tree(tmp_path, VOXCELEB)
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "id10002":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = discover_layout(tmp_path)
    assert len(found.recordings) == 4
    ((path, message),) = found.problems
    assert Path(path).name == "id10002"
    assert "permission denied" in message


def test_the_top_that_the_system_refuses(tmp_path, monkeypatch):
    tree(tmp_path, VOXCELEB)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    for layout in ("auto", "voxceleb", "folders"):
        with pytest.raises(UsageError, match=r"cannot be read \(permission denied\)"):
            discover_layout(tmp_path, layout)


def test_recognition_is_a_glance(tmp_path, monkeypatch):
    tree(tmp_path, (f"wav/id1{s:04d}/video{v:02d}/00001.wav" for s in range(30) for v in range(20)))
    listed = []
    listing = module._listing
    monkeypatch.setattr(module, "_listing", lambda folder: listed.append(folder) or listing(folder))
    assert recognise_layout(tmp_path) == "voxceleb"
    assert len(listed) == 2 + 8 + 8 * 8


def test_recognition_looks_past_folders_without_audio(tmp_path):
    tree(tmp_path, [*(f"a{n:02d}/readme.txt" for n in range(20)), *VOXCELEB])
    assert recognise_layout(tmp_path) == "voxceleb"


def test_audio_too_deep_for_a_glance_is_found(tmp_path):
    tree(tmp_path, ["alice/" + "d/" * 30 + "x.wav"])
    assert recognise_layout(tmp_path) == "folders"
    assert len(discover_layout(tmp_path).recordings) == 1


def test_the_order_is_by_path_and_does_not_depend_on_the_disk(tmp_path, monkeypatch):
    tree(tmp_path, LIBRISPEECH)
    found = discover_layout(tmp_path)
    assert [one.path for one in found.recordings] == sorted(one.path for one in found.recordings)
    listing = os.scandir

    class Backwards:
        def __init__(self, path):
            with listing(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            return None

    monkeypatch.setattr(os, "scandir", Backwards)
    assert discover_layout(tmp_path) == found


name_part = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=8).filter(lambda text: text[0] != ".")


@given(st.lists(name_part, max_size=4), st.integers(0, 99999), st.integers(0, 999999), st.integers(0, 9999))
def test_any_folders_may_lie_above(above, speaker, chapter, utterance):
    parts = (*above, str(speaker), str(chapter), f"{speaker}-{chapter}-{utterance:04d}.flac")
    match = module._CORPORA["librispeech"].match(parts)
    assert match is not None
    assert (match["speaker"], match["session"]) == (str(speaker), str(chapter))


@given(st.lists(name_part, max_size=5))
def test_a_path_has_one_layout_at_most(parts):
    assert sum(corpus.match(parts) is not None for corpus in module._CORPORA.values()) <= 1


@given(name_part, st.dates().filter(lambda date: date.year // 100 == 20), st.text("abcxyz", min_size=3, max_size=3))
def test_the_user_of_an_archive_is_what_comes_before_the_date(user, date, suffix):
    archive = f"{user}-{date:%Y%m%d}-{suffix}"
    match = module._CORPORA["voxforge"].match((archive, "wav", "a0001.wav"))
    assert match is not None
    assert (match["speaker"], match["session"]) == (user, archive)


def test_the_shapes_in_the_messages_are_the_shapes():
    for name, corpus in module._CORPORA.items():
        shown = corpus.shape.replace("speaker-chapter-utterance", "1-2-3").replace("speaker/chapter", "1/2")
        assert corpus.match(re.sub(r"\[.*?\]", "", shown).split("/")), name


@pytest.mark.corpora
@pytest.mark.parametrize(
    "folder", ["arabic-commands", "dspspeech", "fsdd", "librispeech-10", "librispeech-251", "librispeech-3"]
)
def test_real_speech_in_plain_folders(corpora, folder):
    assert recognise_layout(corpora / folder) == "folders"  # excerpts of LibriSpeech have no folders of chapters
    assert discover_layout(corpora / folder) == discover_speakers(corpora / folder)


@pytest.mark.corpora
@pytest.mark.parametrize("folder", ["ami-timelines", "crowd-commands", "noise", "protocols"])
def test_real_folders_without_speakers(corpora, folder):
    with pytest.raises(UsageError, match="expected one sub-folder a speaker"):
        recognise_layout(corpora / folder)


@pytest.mark.corpora
def test_every_real_folder_gets_an_answer(corpora):
    answers = {}
    for folder in sorted(path for path in corpora.iterdir() if path.is_dir()):
        try:
            answers[folder.name] = recognise_layout(folder)
        except UsageError as error:
            answers[folder.name] = str(error)
    assert len(answers) >= 10
    assert all(answer in LAYOUTS or answer.startswith(str(corpora)) for answer in answers.values())


def test_the_sample_recordings_are_plain_folders(sample):
    assert recognise_layout(sample / "enroll") == "folders"
