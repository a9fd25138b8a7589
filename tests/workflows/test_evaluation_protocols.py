"""Protocols: what is enrolled and asked of folders, manifests and trial lists, and what is refused before any work."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from speakerid.audio import Recording
from speakerid.errors import ManifestError, RecordingError, SpeakerIdError, SpeakerNameError, UsageError
from speakerid.workflows.protocols import ListedTrial, Protocol, read_protocol


def hashes(recordings: Sequence[Recording]) -> list[str | None]:
    """Of the bytes, as if they were samples; a file that says so cannot be read."""
    contents = [Path(one.path).read_bytes() for one in recordings]
    return [
        None if content == b"unreadable" else hashlib.sha256(content + f"{one.start} {one.end}".encode()).hexdigest()
        for one, content in zip(recordings, contents, strict=True)
    ]


def no_hashes(recordings: Sequence[Recording]) -> list[str | None]:
    raise AssertionError("nothing is to be split")


def read(path: Path | str, **options) -> Protocol:
    return read_protocol(str(path), content_hashes=options.pop("content_hashes", hashes), **options)


def tree(root: Path, names, *, prefix: str = "") -> Path:
    """Files whose content is their name."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{prefix}{name}".encode())
    return root


def voices(root: Path, speakers: str = "abc", n: int = 4) -> Path:
    return tree(root, [f"{s}/{i}.wav" for s in speakers for i in range(n)])


def listed(root: Path, text: str, name: str = "p.csv") -> Path:
    """A list, and every audio file that it names."""
    tree(root, {word for word in re.split(r"[\s,]", text) if word.endswith(".wav")})
    path = root / name
    path.write_text(text, encoding="utf-8")
    return path


def paths(recordings: Sequence[Recording], root: Path) -> list[str]:
    return [os.path.relpath(one.path, root) for one in recordings]


def refused(path: Path | str, kind: type[SpeakerIdError] = ManifestError, **options) -> str:
    """The message, which is one line; nothing was hashed."""
    with pytest.raises(SpeakerIdError) as error:
        read(path, **{"content_hashes": no_hashes, **options})
    message = str(error.value)
    assert type(error.value) is kind, message
    assert message.isprintable()
    return message


# --- folders


def test_a_folder_is_split(tmp_path):
    protocol = read(voices(tmp_path / "voices", n=8))
    assert (protocol.name, protocol.source) == ("voices", str(tmp_path / "voices"))
    assert protocol.models == ("a", "b", "c")
    assert protocol.trials is None
    assert not protocol.leave_one_out
    (one,) = protocol.rounds
    assert Counter(test.speaker for test in one.tests) == {"a": 2, "b": 2, "c": 2}
    assert sorted(paths(one.enroll + one.tests, tmp_path / "voices")) == sorted(
        f"{s}/{i}.wav" for s in "abc" for i in range(8)
    )
    assert list(one.tests) == sorted(one.tests, key=lambda test: test.path)
    assert protocol.how == "6 of 24 recordings of 3 speakers held out, seed 0"
    assert (protocol.problems, protocol.ignored, protocol.notes) == ((), (), ())


def test_content_hashes_are_asked_for_once(tmp_path):
    calls = []

    def recorded(recordings):
        calls.append(recordings)
        return hashes(recordings)

    read(voices(tmp_path), content_hashes=recorded)
    assert [len(call) for call in calls] == [12]


def test_the_share_that_is_asked_for(tmp_path):
    protocol = read(voices(tmp_path, n=10), test_fraction=0.4)
    assert len(protocol.rounds[0].tests) == 12


def test_folds_ask_everything_once(tmp_path):
    protocol = read(voices(tmp_path, n=6), folds=3)
    assert len(protocol.rounds) == 3
    everything = paths(sum((one.enroll + one.tests for one in protocol.rounds[:1]), ()), tmp_path)
    assert sorted(path for one in protocol.rounds for path in paths(one.tests, tmp_path)) == sorted(everything)
    for one in protocol.rounds:
        assert not set(one.enroll) & set(one.tests)
        assert len(one.enroll) + len(one.tests) == 18
        assert Counter(test.speaker for test in one.tests) == {"a": 2, "b": 2, "c": 2}
    assert protocol.how == "18 of 18 recordings of 3 speakers asked once each, in 3 rounds of 3 folds, seed 0"


def test_folds_that_are_empty_are_dropped(tmp_path):
    tree(voices(tmp_path, "a", 2), ["b/0.wav"])
    protocol = read(tmp_path, folds=5)
    assert [len(one.tests) for one in protocol.rounds] == [1, 1]
    assert all("b" in {one.speaker for one in each.enroll} for each in protocol.rounds)
    assert protocol.notes == (
        "1 speaker has a single recording or session and is enrolled only",
        "3 folds are empty: no speaker has recordings for more",
    )


def test_the_same_data_and_seed_are_the_same_protocol(tmp_path):
    names = [f"{s}/{i}.wav" for s in "abc" for i in range(6)]
    tree(tmp_path / "one", names)
    tree(tmp_path / "two", reversed(names))
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert paths(one.rounds[0].tests, tmp_path / "one") == paths(two.rounds[0].tests, tmp_path / "two")
    assert one.digest == two.digest
    assert re.fullmatch("[0-9a-f]{64}", one.digest)
    others = [
        read(tmp_path / "one", seed=1),
        read(tmp_path / "one", folds=2),
        read(tmp_path / "one", test_fraction=0.5),
    ]
    others.append(read(tmp_path / "one", leave_one_speaker_out=True))
    assert len({one.digest, *(other.digest for other in others)}) == 5


def test_the_digest_is_that_of_the_folder_from_anywhere(tmp_path, monkeypatch):
    voices(tmp_path / "v")
    digests = {read(tmp_path / "v").digest}
    monkeypatch.chdir(tmp_path)
    digests |= {read("v").digest, read("v/").digest, read("./v").digest}
    monkeypatch.chdir("v")
    here = read(".")
    assert digests == {here.digest}
    assert here.name == "v"


def test_copies_sessions_and_single_recordings_in_a_folder(tmp_path):
    voices(tmp_path, "ab", 4)
    tree(tmp_path, ["c/0.wav"])
    shutil.copy(tmp_path / "a/0.wav", tmp_path / "a/copy.wav")
    shutil.copy(tmp_path / "a/1.wav", tmp_path / "b/stolen.wav")
    (tmp_path / "b/4.wav").write_bytes(b"unreadable")
    (tmp_path / "d").mkdir()
    (tmp_path / "notes.txt").touch()
    protocol = read(tmp_path)
    (one,) = protocol.rounds
    assert len(one.enroll + one.tests) == 9
    assert [(os.path.relpath(path, tmp_path)) for path, _message in protocol.problems] == [
        "d",
        "b/4.wav",
        "b/stolen.wav",
    ]
    assert protocol.problems[1][1] == f"{tmp_path}/b/4.wav: cannot be read"
    assert "the same audio as" in protocol.problems[2][1]
    assert protocol.ignored == (str(tmp_path / "notes.txt"),)
    assert protocol.notes == (
        "1 speaker has a single recording or session and is enrolled only",
        "1 recording has the same audio as another one of the speaker: counted once",
    )


def test_what_cannot_be_read_says_why(tmp_path):
    def failing(recordings):
        problem = RecordingError("a/0.wav: no speech found", reason="no_speech")
        return [problem if one.path.endswith("a/0.wav") else one.path for one in recordings]

    protocol = read(voices(tmp_path), content_hashes=failing)
    assert protocol.problems == ((str(tmp_path / "a/0.wav"), "a/0.wav: no speech found"),)
    message = refused(tmp_path, UsageError, content_hashes=lambda recordings: [None] * len(recordings))
    assert message == f"{tmp_path}: no recording can be used; the first problem is {tmp_path}/a/0.wav: cannot be read"


def test_nothing_to_hold_out(tmp_path):
    voices(tmp_path, "ab", 1)
    shutil.copy(tmp_path / "a/0.wav", tmp_path / "a/copy.wav")
    for options in ({}, {"folds": 3}):
        message = refused(tmp_path, UsageError, content_hashes=hashes, **options)
        assert message.startswith(f"{tmp_path}: nothing can be held out; at least one speaker must have two recordings")


def test_one_speaker_is_said_to_be_alone(tmp_path):
    assert read(voices(tmp_path, "a")).notes == (
        "only one speaker is enrolled, so there is nobody to confuse them with",
    )


def test_leaving_one_speaker_out(tmp_path):
    assert read(voices(tmp_path / "abc"), leave_one_speaker_out=True).leave_one_out
    tree(voices(tmp_path / "a", "a"), ["b/0.wav"])
    message = refused(tmp_path / "a", UsageError, content_hashes=hashes, leave_one_speaker_out=True)
    assert "takes two who are enrolled and asked, but there is 1" in message
    manifest = "path,speaker,split\n1.wav,a,enroll\n2.wav,b,\n3.wav,a,test\n4.wav,{},test\n"
    assert read(listed(tmp_path, manifest.format("b")), leave_one_speaker_out=True).leave_one_out
    refused(listed(tmp_path, manifest.format("stranger")), UsageError, leave_one_speaker_out=True)


def test_a_folder_whose_name_is_no_name(tmp_path):
    voices(tmp_path, ["a", "x\ny"])
    assert refused(tmp_path, SpeakerNameError).endswith("rename the speaker")


CORPORA = {
    "librispeech": (
        [
            f"LibriSpeech/dev-clean/{s}/{c}/{s}-{c}-{n:04d}.flac"
            for s in (84, 174)
            for c in (11, 12, 13)
            for n in range(4)
        ],
        ("174", "84"),
    ),
    "voxceleb": (
        [f"wav/id1000{s}/{v}/0000{n}.wav" for s in (1, 2, 3) for v in ("1zcIwhmdeo4", "-7TMJtnhiPM") for n in range(3)],
        ("id10001", "id10002", "id10003"),
    ),
    "timit": (
        [f"TRAIN/DR{d}/{s}/S{n}.WAV" for d, s in ((1, "FCJF0"), (4, "MDAC0")) for n in ("A1", "A2", "I1027", "X37")],
        ("FCJF0", "MDAC0"),
    ),
    "voxforge": (
        [f"{u}-2008031{d}-kdl/wav/a000{n}.wav" for u in ("Aaron", "anonymous") for d in (1, 2, 3) for n in (1, 2)],
        ("Aaron", "anonymous-20080311-kdl", "anonymous-20080312-kdl", "anonymous-20080313-kdl"),
    ),
}


@pytest.mark.parametrize("layout", CORPORA)
@pytest.mark.parametrize("folds", [None, 2])
def test_corpora_are_split_by_session(tmp_path, layout, folds):
    files, speakers = CORPORA[layout]
    protocol = read(tree(tmp_path, files), folds=folds)
    assert protocol == read(tmp_path, folds=folds, layout=layout)
    assert protocol.models == speakers
    assert protocol.problems == ()
    for one in protocol.rounds:
        assert sorted(paths(one.enroll + one.tests, tmp_path)) == sorted(files)
        enrolled, asked = ({(r.speaker, r.session) for r in side if r.session} for side in (one.enroll, one.tests))
        assert not enrolled & asked
        assert {test.speaker for test in one.tests} <= {recording.speaker for recording in one.enroll}
    assert ("sessions whole" in protocol.how) == (layout != "timit")
    if layout == "voxforge":
        assert protocol.notes[0].startswith("3 speakers have a single recording or session")


def test_a_layout_is_passed_on(tmp_path):
    tree(tmp_path, CORPORA["voxceleb"][0])
    assert read(tmp_path / "wav", layout="folders").models == CORPORA["voxceleb"][1]
    assert "no recording lies as in TIMIT" in refused(tmp_path, UsageError, layout="timit")
    assert "layout is 'vox'" in refused(tmp_path, UsageError, layout="vox")


# --- manifests


def test_a_manifest_without_a_split_is_split(tmp_path):
    rows = [f"{s}{i}.wav,{s},{i // 2}" for s in "ab" for i in range(8)]
    protocol = read(listed(tmp_path, "\n".join(["path,speaker,session", *rows])))
    (one,) = protocol.rounds
    assert Counter(test.speaker for test in one.tests) == {"a": 2, "b": 2}
    assert not {(r.speaker, r.session) for r in one.enroll} & {(r.speaker, r.session) for r in one.tests}
    assert protocol.how == "4 of 16 recordings of 2 speakers held out, sessions whole, seed 0"


def test_stretches_of_a_file_stay_together_however_it_is_written(tmp_path):
    text = "path,speaker,start,end\n" + "".join(f"{i}.wav,a,{s},{s + 1}\n" for i in range(4) for s in range(3))
    path = listed(tmp_path, text + "x/../0.wav,a,7,8\nlink.wav,a,8,9\n")
    (tmp_path / "link.wav").unlink()
    (tmp_path / "link.wav").symlink_to(tmp_path / "0.wav")
    for seed in range(6):
        (one,) = read(path, seed=seed).rounds
        asked = {Path(os.path.realpath(test.path)).name for test in one.tests}
        assert not asked & {Path(os.path.realpath(recording.path)).name for recording in one.enroll}


def test_a_manifest_with_tests_is_a_protocol(tmp_path):
    rows = ["1.wav,a,enroll,0,10,x", "2.wav,b,,,,", "1.wav,a,test,10,12,y", "3.wav,c,test,,,x"]
    path = listed(tmp_path, "\n".join(["path,speaker,split,start,end,session", *rows]))
    protocol = read(path, content_hashes=no_hashes)
    (one,) = protocol.rounds
    assert [(r.speaker, r.origin) for r in one.enroll] == [("a", "p.csv, row 2"), ("b", "p.csv, row 3")]
    assert [(r.speaker, r.origin) for r in one.tests] == [("a", "p.csv, row 4"), ("c", "p.csv, row 5")]
    assert protocol.models == ("a", "b")
    assert protocol.how == "as the protocol says: 2 recordings of 2 speakers enrolled, 2 asked, 1 of them of strangers"
    assert (protocol.name, protocol.notes) == ("p", ())
    for option in ({"folds": 2}, {"test_fraction": 0.5}):
        message = refused(path, UsageError, **option)
        flag = "--folds" if "folds" in option else "--test-fraction"
        assert message == f"{path}: it says itself what is asked, in its column split; leave {flag} out"


def test_a_digest_is_of_every_field(tmp_path):
    base = ["1.wav,a,enroll,0,10", "2.wav,b,enroll,,", "3.wav,a,test,0,1", "4.wav,b,test,,"]
    tree(tmp_path, ["5.wav"])

    def digest(rows):
        return read(listed(tmp_path, "\n".join(["path,speaker,split,start,end", *rows]))).digest

    changes = [
        ("1.wav", "5.wav"),
        (",b,test", ",c,test"),
        ("0,10", "0,11"),
        ("0,10", "1,10"),
        ("2.wav,b,enroll", "2.wav,b,"),
    ]
    variants = [digest([row.replace(*change) for row in base]) for change in changes]
    variants += [
        digest(base),
        digest(base[::-1]),
        digest([*base, "5.wav,b,test,,"]),
        digest([*base, "5.wav,b,enroll,,"]),
    ]
    assert variants[4] == variants[5]  # an empty split is to enrol
    assert len(set(variants)) == len(variants) - 1


def test_a_repeated_row_to_enrol_counts_once(tmp_path):
    protocol = read(listed(tmp_path, "path,speaker,split\n1.wav,a,\n1.wav,a,\n2.wav,a,test\n2b.wav,b,test\n"))
    assert [one.origin for one in protocol.rounds[0].enroll] == ["p.csv, row 2"]
    assert protocol.notes[0] == "1 row enrols what another one does: counted once"


def test_names_are_in_normal_form(tmp_path):
    text = "path,speaker,split\n1.wav,Jose\u0301,\n2.wav,Jos\u00e9,test\n"
    protocol = read(listed(tmp_path, text))
    assert protocol.models == ("Jos\u00e9",)
    assert protocol.rounds[0].tests[0].speaker == "Jos\u00e9"


SPLIT = "path,speaker,split,start,end,session\n"
REFUSED_MANIFESTS = {
    "only to enrol": (SPLIT + "1.wav,a,enroll,,,\n2.wav,a,,,,\n", r"DIR/p\.csv: no rows to ask; mark some as test"),
    "only to ask": (SPLIT + "1.wav,a,test,,,\n", r"DIR/p\.csv: no rows to enrol; add some"),
    "no rows": (SPLIT, r"DIR/p\.csv: no rows but the header"),
    "no speaker": ("path\n1.wav\n", r"DIR/p\.csv, row 1: no column 'speaker'"),
    "no speaker asked": (SPLIT + "1.wav,a,,,,\n2.wav,,test,,,\n", r"DIR/p\.csv, row 3: the speaker is empty"),
    "no name": (SPLIT + "1.wav,a,,,,\n2.wav,a/b,test,,,\n", r"p\.csv, row 3: 'a/b' cannot be a speaker's name"),
    "no file": (
        SPLIT + "1.wav,a,,,,\nlost,a,,,,\nlost,b,,,,\ngone,a,test,,,\n",
        r"p\.csv, row 3: DIR/lost: no such file, and 1 more file cannot be used either; paths are relative to the manif",
    ),
    "a folder": (SPLIT + "1.wav,a,,,,\n.,a,test,,,\n", r"p\.csv, row 3: DIR: a folder, not a file; paths"),
    "below a file": (
        SPLIT + "1.wav,a,,,,\n1.wav/x,a,test,,,\n",
        r"p\.csv, row 3: DIR/1\.wav/x: cannot be used \(not a d",
    ),
    "a null byte": (SPLIT + "1.wav,a,,,,\n2.wav,a,te\0st,,,\n", r"DIR/p\.csv, row 3: null bytes"),
    "asked twice": (
        SPLIT + "1.wav,a,,,,\n2.wav,a,test,,,\n3.wav,a,test,,,\n./2.wav,a,test,0,,\n",
        r"p\.csv, row 5: DIR/2\.wav \[0- s\] is asked in p\.csv, row 3 already",
    ),
    "two truths": (
        SPLIT + "1.wav,a,,,,\n2.wav,a,test,,,\n2.wav,b,test,,,\n",
        r"p\.csv, row 4: DIR/2\.wav is b, but p\.csv, row 3 says that it is a",
    ),
    "enrolled as two": (
        SPLIT + "1.wav,a,,,,\n1.wav,b,,,,\n2.wav,a,test,,,\n",
        r"p\.csv, row 3: DIR/1\.wav is enrolled as b, but as a in p\.csv, row 2",
    ),
    "enrolled and asked": (
        SPLIT + "1.wav,a,,,,\n2.wav,a,,,,\n1.wav,a,test,,,\n",
        r"p\.csv, row 4: DIR/1\.wav is asked, but p\.csv, row 2 enrols the same;",
    ),
    "overlapping": (
        SPLIT + "1.wav,a,test,9.5,12,\n1.wav,b,,0,1,\n1.wav,a,enroll,3,10,\n",
        r"p\.csv, row 2: DIR/1\.wav \[9\.5-12 s\] is asked, but p\.csv, row 4 enrols DIR/1\.wav \[3-10 s\]",
    ),
    "overlapping a whole file": (
        SPLIT + "1.wav,a,,2,3,\n1.wav,a,,4,,\n1.wav,a,test,,2.5,\n",
        r"p\.csv, row 4: .* p\.csv, row 2 enrols",
    ),
    "a long one before short ones": (
        SPLIT + "1.wav,a,,0,100,\n1.wav,a,,1,2,\n1.wav,a,test,50,51,\n",
        r"p\.csv, row 4: .* p\.csv, row 2 enrols",
    ),
    "a session on both sides": (
        SPLIT + "1.wav,a,,,,mon\n2.wav,b,test,,,mon\n3.wav,a,test,,,mon\n",
        r"p\.csv, row 4: session mon of a is asked, but p\.csv, row 2 enrols it",
    ),
}


@pytest.mark.parametrize("case", REFUSED_MANIFESTS)
def test_manifests_that_are_refused(tmp_path, case):
    text, message = REFUSED_MANIFESTS[case]
    path = listed(tmp_path, text)
    assert re.match(message.replace("DIR", re.escape(str(tmp_path))), refused(path))


def test_a_link_to_an_enrolled_recording_is_that_recording(tmp_path):
    path = listed(tmp_path, "path,speaker,split\n1.wav,a,\nl.wav,a,test\n")
    (tmp_path / "l.wav").unlink()
    (tmp_path / "l.wav").symlink_to("1.wav")
    message = f"p.csv, row 3: {tmp_path}/l.wav is asked, but p.csv, row 2 enrols {tmp_path}/1.wav; "
    assert refused(path).startswith(message)


def test_rows_of_a_manifest_to_split_are_checked(tmp_path):
    path = listed(tmp_path, "path,speaker\n1.wav,a\nlost.flac,a\n2.wav,a\n")
    assert refused(path).startswith(f"p.csv, row 3: {tmp_path}/lost.flac: no such file; paths are relative to")
    listed(tmp_path, "path,speaker\n1.wav,a\n2.wav,a\n1.wav,b\n3.wav,b\n")
    ((problem, message),) = read(path).problems
    assert problem == str(tmp_path / "1.wav")
    assert message.startswith(f"p.csv, row 4: {tmp_path}/1.wav: the same audio as")


# --- trial lists


def test_voxceleb_style(tmp_path):
    path = listed(
        tmp_path, "1 x/a.wav x/b.wav\n0 x/a.wav y/c.wav\n1 y/c.wav y/d.wav\n0 y/c.wav x/b.wav\n", "veri_test.txt"
    )
    protocol = read(path, content_hashes=no_hashes)
    assert protocol.name == "veri_test"
    assert protocol.models == ("x/a.wav", "y/c.wav")
    (one,) = protocol.rounds
    assert [(one.speaker, one.origin) for one in one.enroll] == [
        ("x/a.wav", "veri_test.txt, row 1"),
        ("y/c.wav", "veri_test.txt, row 3"),
    ]
    assert paths(one.enroll, tmp_path) == ["x/a.wav", "y/c.wav"]
    assert paths(one.tests, tmp_path) == ["x/b.wav", "y/c.wav", "y/d.wav"]
    assert {test.speaker for test in one.tests} == {None}
    assert one.tests[1].origin == "veri_test.txt, row 2"
    assert protocol.trials == (
        ListedTrial(0, 0, True),
        ListedTrial(0, 1, False),
        ListedTrial(1, 2, True),
        ListedTrial(1, 0, False),
    )
    assert protocol.how == "4 trials, 2 of them targets, of 2 models and 3 recordings"
    assert not protocol.leave_one_out


def test_a_root_for_trials(tmp_path):
    path = listed(tmp_path, "1 a.wav b.wav\n0 a.wav c.wav\n", "t.txt")
    tree(tmp_path / "wav", ["a.wav", "b.wav", "c.wav"])
    protocol = read(path, root=str(tmp_path / "wav"))
    assert protocol.models == ("a.wav",)
    assert protocol.rounds[0].enroll[0].path == str(tmp_path / "wav/a.wav")
    assert protocol.digest == read(path).digest
    message = refused(path, root=str(tmp_path / "elsewhere"))
    assert message.startswith(
        f"t.txt, row 1: {tmp_path}/elsewhere/b.wav: no such file, and 2 more files cannot be used"
    )
    assert message.endswith(f"paths are relative to {tmp_path}/elsewhere; --root FOLDER says to what else")


NIST = "ann s1.wav target\nann s2.wav nontarget\nbob s2.wav target\n"
ENROLL = "path,speaker,split\n1.wav,bob,\n2.wav,ann,enroll\n3.wav,ann,\n3.wav,ann,\n4.wav,carl,\n5.wav,ann,test\n"


def test_nist_style(tmp_path):
    enroll = str(listed(tmp_path / "e", ENROLL, "e.csv"))
    path = listed(tmp_path, NIST + "ann s1.wav target\n", "t.txt")
    protocol = read(path, enroll=enroll)
    assert protocol.models == ("ann", "bob")
    (one,) = protocol.rounds
    assert [(r.speaker, r.origin) for r in one.enroll] == [
        ("bob", "e.csv, row 2"),
        ("ann", "e.csv, row 3"),
        ("ann", "e.csv, row 4"),
    ]
    assert paths(one.tests, tmp_path) == ["s1.wav", "s2.wav"]
    assert protocol.trials == (ListedTrial(0, 0, True), ListedTrial(0, 1, False), ListedTrial(1, 1, True))
    assert protocol.notes == (
        "1 trial is a repeat of another one: counted once",
        f"1 speaker of {enroll} without a trial: not enrolled",
        "1 row enrols a recording of that speaker again: counted once",
    )
    zipped = tmp_path / "t.txt.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    again = read(zipped, enroll=enroll)
    assert (again.digest, again.name) == (protocol.digest, "t")


def test_models_in_folders(tmp_path):
    voices(tmp_path / "models", ["ann", "bob", "carl"], 2)
    (tmp_path / "models/empty").mkdir()
    protocol = read(listed(tmp_path, NIST, "t"), enroll=str(tmp_path / "models"))
    assert paths(protocol.rounds[0].enroll, tmp_path / "models") == [
        f"{s}/{i}.wav" for s in ("ann", "bob") for i in "01"
    ]
    assert [path for path, _message in protocol.problems] == [str(tmp_path / "models/empty")]
    corpus = tree(tmp_path / "vox", CORPORA["voxceleb"][0])
    trials = listed(tmp_path, "id10001 s1.wav target\nid10003 s1.wav nontarget\n", "u")
    for layout in ("auto", "voxceleb"):
        assert len(read(trials, enroll=str(corpus), layout=layout).rounds[0].enroll) == 12


def test_names_of_models_are_in_normal_form(tmp_path):
    enroll = str(listed(tmp_path, "path,speaker\n1.wav,Jos\u00e9\n", "e.csv"))
    text = "Jose\u0301 s1.wav target\nJos\u00e9 s1.wav target\nJos\u00e9 s2.wav nontarget\n"
    protocol = read(listed(tmp_path, text, "t"), enroll=enroll)
    assert protocol.models == ("Jos\u00e9",)
    assert len(protocol.trials or ()) == 2


REFUSED_LISTS = {
    "no targets": (
        "0 a.wav b.wav\n0 a.wav c.wav\n",
        r"DIR/t: 2 trials, and not one is 1: there is no equal error rate",
    ),
    "no nontargets": (
        "ann b.wav target\n",
        r"DIR/t: 1 trial, and not one is nontarget: there is",
    ),
    "contradiction": (
        "1 a.wav b.wav\n0 a.wav c.wav\n\n0 a.wav b.wav\n",
        r"t, row 4: DIR/a\.wav and DIR/b\.wav are 0 here and 1 in row 1; remove one",
    ),
    "contradiction of a name": (
        "ann b.wav nontarget\nann b.wav target\n",
        r"t, row 2: ann and DIR/b\.wav are target here and nontarget in row 1; remove one",
    ),
    "no file": (
        "1 a.wav lost\n0 gone c.wav\n",
        r"t, row 1: DIR/lost: no such file, and 1 more file cannot be used either; paths are relative to DIR; --root",
    ),
    "of itself": (
        "1 a.wav b.wav\n0 a.wav c.wav\n1 a.wav ./x/../a.wav\n",
        r"t, row 3: a\.wav is asked about DIR/x/\.\./a\.wav, which it is learned from; remove the trial",
    ),
    "no trial": ("hello\n", r"DIR/t, row 1: 1 field"),
    "nothing": ("", r"DIR/t: no trials"),
}


@pytest.mark.parametrize("case", REFUSED_LISTS)
def test_lists_that_are_refused(tmp_path, case):
    text, message = REFUSED_LISTS[case]
    (tmp_path / "x").mkdir()
    assert re.match(message.replace("DIR", re.escape(str(tmp_path))), refused(listed(tmp_path, text, "t")))


def test_models_that_are_not_enrolled(tmp_path):
    trials = listed(tmp_path, NIST + "dan s1.wav nontarget\neve s1.wav nontarget\n", "t")
    message = refused(trials, UsageError)
    assert message.startswith(
        f"{trials}: its models are names, as ann in row 1; say whose recordings they are learned from"
    )
    assert "--enroll" in message
    enroll = str(listed(tmp_path, "path,speaker,split\n1.wav,bob,\n2.wav,ann,test\n", "e.csv"))
    assert refused(trials, enroll=enroll) == (
        f"t, row 1: ann is not enrolled in {enroll}, and 2 more models are not either; add recordings there or remove "
        "the trials"
    )
    listed(tmp_path, "path,speaker,split\n1.wav,bob,test\n", "e.csv")
    assert refused(trials, enroll=enroll) == f"{enroll}: no rows to enrol; add some whose split is enroll or empty"
    assert "no such file" in refused(trials, enroll=str(tmp_path / "missing.csv"))
    assert "neither a manifest" in refused(trials, UsageError, enroll=str(tmp_path / "1.wav"))
    bad = listed(tmp_path, "ann s1.wav target\na/b s2.wav nontarget\n", "bad")
    assert refused(bad, enroll=enroll).startswith("bad, row 2: 'a/b' cannot be a speaker's name")


def test_a_model_is_not_asked_about_its_own_recording(tmp_path):
    enroll = str(listed(tmp_path, "path,speaker,start,end\n1.wav,bob,,\ns2.wav,ann,0,1\ns1.wav,bob,,\n", "e.csv"))
    assert refused(listed(tmp_path, NIST, "t"), enroll=enroll) == (
        f"t, row 2: ann is asked about {tmp_path}/s2.wav, which it is learned from in e.csv, row 3; remove the trial"
    )


def test_the_enrolment_of_a_list_is_looked_up_but_only_what_is_used(tmp_path):
    enroll = str(listed(tmp_path, "path,speaker\n1.wav,bob\n2.wav,ann\nlost,carl\n", "e.csv"))
    assert len(read(listed(tmp_path, NIST, "t"), enroll=enroll).rounds[0].enroll) == 2
    (tmp_path / "2.wav").unlink()
    assert refused(tmp_path / "t", enroll=enroll).startswith(f"e.csv, row 3: {tmp_path}/2.wav: no such file; paths are")


# --- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 0.0}, "--test-fraction is 0; it must be between 0 and 1"),
        ({"test_fraction": 1.0}, "--test-fraction is 1;"),
        ({"test_fraction": float("nan")}, "--test-fraction is nan;"),
        ({"folds": 1}, "--folds is 1; it must be from 2 to 1000"),
        ({"folds": 2, "test_fraction": 0.5}, "--folds and --test-fraction are two ways to split"),
        ({"seed": -1}, "--seed is -1; it must be 0 or more"),
        ({"root": "x"}, "DIR: a folder of speakers enrols its own recordings; leave --root out"),
        ({"enroll": "x"}, "DIR: a folder of speakers enrols its own recordings; leave --enroll out"),
    ],
)
def test_options_out_of_range_or_without_a_use(tmp_path, options, message):
    voices(tmp_path)
    assert refused(tmp_path, UsageError, **options).startswith(message.replace("DIR", str(tmp_path)))


def test_options_that_manifests_and_lists_have_no_use_for(tmp_path):
    manifest = listed(tmp_path, "path,speaker\n1.wav,a\n2.wav,a\n")
    for option in ({"root": "x"}, {"enroll": "x"}, {"layout": "timit"}):
        expected = f"{manifest}: a manifest names its recordings itself; leave --{next(iter(option))} out"
        assert refused(manifest, UsageError, **option) == expected
    trials = listed(tmp_path, "1 1.wav 2.wav\n0 1.wav 3.wav\n", "t")
    for option in ({"folds": 2}, {"test_fraction": 0.5}, {"leave_one_speaker_out": True}):
        flag = "--" + next(iter(option)).replace("_", "-")
        expected = f"{trials}: a trial list says itself what is asked; leave {flag} out"
        assert refused(trials, UsageError, **option) == expected
    assert "leave --enroll x out" in refused(trials, UsageError, enroll="x")
    assert "leave --layout out" in refused(trials, UsageError, layout="timit")
    names = listed(tmp_path, NIST, "n")
    assert "a manifest has no layout" in refused(names, UsageError, enroll=str(manifest), layout="timit")


def test_data_that_are_neither(tmp_path):
    assert refused("-", UsageError).startswith("standard input cannot be evaluated; give a folder")
    assert refused(tmp_path / "missing", UsageError).startswith(
        f"{tmp_path}/missing: no such file or folder; give a fold"
    )
    assert refused("a\0b", UsageError).endswith("not a possible path")
    tree(tmp_path, ["talk.wav"])
    assert refused(tmp_path / "talk.wav", UsageError).startswith(f"{tmp_path}/talk.wav: a recording; give a folder")
    assert "not a directory" in refused(tmp_path / "talk.wav/x", UsageError)
    assert "directly in the folder" in refused(tmp_path, UsageError)
    os.mkfifo(tmp_path / "pipe")
    assert "a named pipe, not a file" in refused(tmp_path / "pipe", UsageError)


# --- real protocols


def test_the_sample(sample):
    protocol = read(sample / "protocol.csv", leave_one_speaker_out=True)
    assert len(protocol.models) == 10
    assert {path.name for path in (sample / "enroll").iterdir()} == set(protocol.models)


@pytest.mark.corpora
def test_the_protocols_of_the_corpora(corpora):
    files = sorted((corpora / "protocols").glob("*.csv"))
    assert len(files) >= 9
    for file in files:
        if file.stem == "world":
            assert "world.csv, row 1: no column 'speaker'" in refused(file)
            continue
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        protocol = read(file, content_hashes=no_hashes)
        (one,) = protocol.rounds
        assert len(one.enroll) == sum(row["split"] == "enroll" for row in rows)
        assert len(one.tests) == sum(row["split"] == "test" for row in rows)
        assert protocol.models == tuple(sorted({row["speaker"] for row in rows if row["split"] == "enroll"}))
        assert protocol.notes == ()
