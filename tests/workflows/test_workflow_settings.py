"""A store answers only to the settings it was made with; manifests say who is enrolled."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speakerid.store import Store

Run = Callable[..., Any]
Recordings = Callable[[Path], dict[str, set[str]]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text('[front_end]\ncepstra = 13\nwindow = "hamming"\n[training]\ncomponents = 4\n', encoding="utf-8")
    return path


def test_a_config_makes_a_store_with_its_settings(run: Run, small: Path, tmp_path: Path, config: Path) -> None:
    db = tmp_path / "c.db"
    outcome = run("enroll", small, "--db", db, "--config", config, "--format", "json")
    assert {line["components"] for line in outcome.json} == {4}
    with Store(db) as store:
        assert (store.front_end.cepstra, store.front_end.window, store.training.components) == (13, "hamming", 4)
        assert store.model("Tom")[0].means.shape == (4, 26)
    # from then on the store knows them
    question = run("identify", small / "Tom", "--db", db, "--format", "json")
    assert {line["decision"] for line in question.json} == {"Tom"}
    assert run("identify", small / "Tom", "--db", db, "--config", config).status == 0
    assert run("enroll", small, "--db", db).status == 0


@pytest.mark.parametrize(
    "command", [["enroll", "{small}"], ["identify", "{small}"], ["speakers", "list"], ["speakers", "remove", "Tom"]]
)
def test_other_settings_are_refused_with_both_values(
    run: Run, small: Path, db: Path, config: Path, command: list[str], digest: Callable[[Path], str]
) -> None:
    before = digest(db)
    outcome = run(*(word.format(small=small) for word in command), "--db", db, "--config", config)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    for part in ("cepstra: 20 against 13", 'window: "hann" against "hamming"', "components: 16 against 4", str(db)):
        assert part in line
    assert digest(db) == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[front_end]\ncepstra = 0\n", "cepstra = 0"),
        ("[front_end]\ncepstras = 13\n", "unknown setting 'cepstras'"),
        ("[frontend]\n", "unknown table 'frontend'"),
        ('[training]\ncomponents = "many"\n', 'components = "many": expected a whole number'),
        ("[training]\nseed = true\n", "expected a whole number"),
        ('[front_end]\nengine = "kaldi"\n', "one of"),
        ("cepstra 13\n", "not a TOML file"),
        ("front_end = 3\n", "expected a table"),
    ],
)
def test_a_wrong_config_is_usage(run: Run, small: Path, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    outcome = run("enroll", small, "--db", tmp_path / "n.db", "--config", path)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"speakerid: {path}: ")
    assert says in line
    assert not (tmp_path / "n.db").exists()


def test_a_config_that_cannot_be_read_is_usage(run: Run, small: Path, tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path, binary):
        outcome = run("enroll", small, "--db", tmp_path / "n.db", "--config", path)
        assert outcome.status == 2
        assert outcome.err.startswith(f"speakerid: {path}: cannot read the config file: ")
        assert len(outcome.err.splitlines()) == 1


def test_the_librosa_engine_gives_a_store_of_its_own(run: Run, small: Path, tmp_path: Path) -> None:
    path = tmp_path / "librosa.toml"
    path.write_text('[front_end]\nengine = "librosa"\n[training]\ncomponents = 4\n', encoding="utf-8")
    db = tmp_path / "librosa.db"
    assert run("enroll", small, "--db", db, "--config", path).status == 0
    answers = run("identify", small, "--db", db, "--format", "json").json
    assert [(a["decision"]) for a in answers] == [Path(a["path"]).parent.name for a in answers]
    ours = tmp_path / "ours.toml"
    ours.write_text("[training]\ncomponents = 4\n", encoding="utf-8")
    refused = run("identify", small, "--db", db, "--config", ours)
    assert refused.status == 2
    assert 'engine: "librosa" against "speakerid"' in refused.err


# manifests


@pytest.fixture
def manifest(tmp_path: Path, small: Path) -> Path:
    """Segments, test rows, a session and rows without a split."""
    path = tmp_path / "list.csv"
    alice, tom = small / "Alice", small / "Tom"
    rows = [
        "path,speaker,split,start,end,session",
        f"{alice / 'alice-enroll-1.flac'},Alice,enroll,0,2.0,monday",
        f"{alice / 'alice-enroll-1.flac'},Alice,enroll,2.0,,monday",
        f"{alice / 'alice-enroll-2.flac'},Alice,test,,,",
        f"{alice / 'alice-enroll-3.flac'},Alice,test,0.5,2.5,",
        f"{tom / 'tom-enroll-1.flac'},Tom,,,,",
        f"{tom / 'tom-enroll-2.flac'},Tom,enroll,,,",
        f"{tom / 'tom-enroll-3.flac'},unknown,test,,,",
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_manifest_enrols_its_enrolment_rows(run: Run, manifest: Path, tmp_path: Path, recordings: Recordings) -> None:
    db = tmp_path / "m.db"
    outcome = run("enroll", manifest, "--db", db, "--format", "json")
    assert outcome.status == 0
    assert "3 rows with split = test were left alone" in outcome.err
    assert {line["speaker"]: line["added"] for line in outcome.json} == {"Alice": 2, "Tom": 2}
    assert set(recordings(db)) == {"Alice", "Tom"}
    with Store(db) as store:
        sources = sorted(store.recordings("Alice"), key=lambda row: row.source)
        assert [row.source.rsplit(" [")[-1] for row in sources] == ["0-2 s]", "2- s]"]
        assert [row.session for row in sources] == ["monday", "monday"]
        assert sources[0].seconds == pytest.approx(2.0)
    question = run("identify", manifest, "--db", db, "--format", "json")
    assert "3 rows with split = enroll were left alone" in question.err
    assert [(line.get("start"), line.get("end"), line["decision"]) for line in question.json] == [
        (None, None, "Alice"),
        (0.5, 2.5, "Alice"),
        (None, None, "Tom"),
        (None, None, "Tom"),
    ]
    assert question.json[1]["duration_seconds"] == pytest.approx(2.0)
    assert "start" not in question.json[0]


def test_a_compressed_manifest_is_the_same(run: Run, manifest: Path, tmp_path: Path, models: Any) -> None:
    packed = tmp_path / "list.csv.gz"
    packed.write_bytes(gzip.compress(manifest.read_bytes()))
    for path in (manifest, packed):
        assert run("enroll", path, "--db", path.with_suffix(".db")).status == 0
    assert models(manifest.with_suffix(".db")) == models(packed.with_suffix(".db"))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["path,speaker", "{a},Alice", "{a},"], "row 3: the speaker is empty"),
        (["path,speaker,split", "{a},Alice,train"], "row 2: split is 'train'"),
        (["path,speaker,start,end", "{a},Alice,2,1"], "row 2: end (1 s) must be after start (2 s)"),
        (["path,speaker,start", "{a},Alice,soon"], "row 2: start is 'soon'"),
        (["path,name", "{a},Alice"], "row 1: unknown column 'name'"),
        (["path,speaker", "{a},Alice,x"], "row 2: 3 fields"),
        ([""], "empty"),
    ],
)
def test_a_wrong_manifest_names_file_and_row_and_enrols_nobody(
    run: Run, small: Path, tmp_path: Path, rows: list[str], says: str
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("\n".join(rows).format(a=small / "Alice" / "alice-enroll-1.flac"), encoding="utf-8")
    outcome = run("enroll", path, "--db", tmp_path / "n.db")
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert str(path) in line
    assert says in line
    assert not (tmp_path / "n.db").exists()


def test_a_manifest_row_that_cannot_be_read_stops_no_other(run: Run, small: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        f"path,speaker,start,end\nno.wav,Alice,,\n{small / 'Alice' / 'alice-enroll-1.flac'},Alice,,\n"
        f"{small / 'Tom' / 'tom-enroll-1.flac'},Tom,60,70\n",
        encoding="utf-8",
    )
    outcome = run("enroll", path, "--db", tmp_path / "m.db", "--format", "json")
    assert outcome.status == 3
    enrolled, missing, beyond = outcome.json
    assert (enrolled["speaker"], enrolled["recordings"]) == ("Alice", 1)
    assert missing["path"] == str(tmp_path / "no.wav")
    assert beyond["path"].endswith("tom-enroll-1.flac")
    assert "the stretch starts at 60 s, but the file ends at 4.40 s" in beyond["message"]
    assert "2 inputs could not be used; the others were" in outcome.complaints[-1]
