"""``speakerid world``, and what the other commands say of world models."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speakerid.config import FrontEndConfig, to_dict
from speakerid.store import read_world, write_world

Run = Callable[..., Any]


@pytest.fixture
def world(tmp_path: Path, run: Run, small: Path) -> Path:
    """Eight components of three voices."""
    path = tmp_path / "w.gmm"
    outcome = run("world", "train", small, "--components", 8, "-o", path, "--licence", "Zoë's, CC0", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    return path


def one_line(outcome: Any, status: int = 2) -> str:
    assert (outcome.status, outcome.out) == (status, "")
    (line,) = (line for line in outcome.err.splitlines() if line and not line.startswith(("Usage:", "Try ")))
    return str(line)


# train


def test_train_says_what_there_is(run: Run, small: Path, tmp_path: Path) -> None:
    outcome = run("world", "train", small, "--components", 8, "--output", tmp_path / "w.gmm")
    assert (outcome.status, outcome.err) == (0, "")
    pattern = r"w\.gmm: 8 components from 9 recordings, 0\.6 minutes of speech, -\d\d\.\d\d nats a frame\n"
    assert re.fullmatch(re.escape(f"{tmp_path}/") + pattern, outcome.out)
    assert [path.name for path in tmp_path.iterdir()] == ["w.gmm"]


def test_a_file_that_is_there_is_left_alone_unless_forced(
    run: Run, small: Path, world: Path, digest: Callable[[Path], str]
) -> None:
    before = digest(world)
    line = one_line(run("world", "train", small, "--components", 4, "-o", world))
    assert line.endswith(f"{world}: exists already; give another --output, or --force")
    assert digest(world) == before
    assert run("world", "train", small, "--components", 4, "-o", world, "--force").status == 0
    (found,) = run("world", "show", world, "--format", "json").json
    assert found["components"] == 4


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_outputs_that_cannot_be_are_refused_before_the_work(
    run: Run, small: Path, tmp_path: Path, force: list[str]
) -> None:
    (tmp_path / "folder").mkdir()
    for output, says in (
        (tmp_path / "folder", "folder: a folder; give --output a file's name"),
        (tmp_path / "no" / "w.gmm", f"there is no folder {tmp_path / 'no'}; make it first"),
    ):
        assert says in one_line(run("world", "train", small, "-o", output, *force))
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_a_work_folder_that_cannot_be(run: Run, small: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.gmm.work"
    path.write_text("mine", encoding="utf-8")
    command = ("world", "train", small, "--components", 8, "-o", tmp_path / "w.gmm")
    line = one_line(run(*command))
    assert line == f"speakerid: {path}: is a file, not a folder; give another --work-folder"
    line = one_line(run(*command, "--work-folder", path / "below"))
    assert line.startswith(f"speakerid: {path / 'below'}: the work folder cannot be made (not a directory); ")
    assert path.read_text(encoding="utf-8") == "mine"


def test_the_output_is_not_the_work_folders(run: Run, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    for output, made in ((folder, []), (tmp_path / "new", []), (folder / "speakerid-frames.f32", [folder])):
        for each in made:
            each.mkdir()
        work = output / "work" if output.name == "new" else folder
        line = one_line(run("world", "train", small, "-o", output, "--work-folder", work))
        assert line == f"speakerid: {output}: the work folder {work} needs this name; give another --output"
    assert [path.name for path in tmp_path.rglob("*")] == ["work"]


def test_what_is_read_is_not_written_over(run: Run, small: Path, tmp_path: Path, digest: Callable[[Path], str]) -> None:
    recording, manifest, settings = (tmp_path / name for name in ("a.flac", "m.csv", "s.toml"))
    shutil.copyfile(small / "Tom" / "tom-enroll-1.flac", recording)
    manifest.write_text(f"path,speaker\n{recording.name},\n", encoding="utf-8")
    settings.write_text("[front_end]\ncepstra = 13\n", encoding="utf-8")
    (tmp_path / "link").symlink_to(recording.name)
    (tmp_path / "hard").hardlink_to(recording)
    before = {path: digest(path) for path in tmp_path.iterdir()}
    for output in (*before, tmp_path / "." / "a.flac"):
        for force in ([], ["--force"]):
            arguments = ("world", "train", manifest, "--components", 2, "--config", settings, "-o", output)
            line = one_line(run(*arguments, *force))
            assert line == f"speakerid: {output}: would be written over, but it is read; give another name"
    assert {path: digest(path) for path in tmp_path.iterdir()} == before


def test_force_is_for_world_models(
    run: Run, small: Path, world: Path, tmp_path: Path, digest: Callable[[Path], str]
) -> None:
    letter, pipe, empty, nowhere = (tmp_path / name for name in ("letter.txt", "pipe", "empty", "nowhere"))
    letter.write_text("mine", encoding="utf-8")
    os.mkfifo(pipe)
    nowhere.symlink_to("missing")
    command = ("world", "train", small, "--components", 2)
    for force in ([], ["--force"]):
        assert one_line(run(*command, "-o", letter, *force)) == (
            f"speakerid: {letter}: exists and is no world model, so it is not written over; give another --output"
        )
        for path in (pipe, nowhere):
            says = f"speakerid: {path}: exists and is not a regular file; give another --output"
            assert one_line(run(*command, "-o", path, *force)) == says
    assert letter.read_text(encoding="utf-8") == "mine"
    empty.touch()
    assert one_line(run(*command, "-o", empty)).endswith("exists already; give another --output, or --force")
    world.write_bytes(world.read_bytes()[:-1])  # a damaged one may go
    for path in (empty, world):
        assert run(*command, "-o", path, "--force").status == 0
        assert run("world", "show", path).status == 0
    assert digest(empty) != digest(letter)


def test_a_name_that_is_too_long_is_told_before_the_work(
    run: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speakerid.workflows import world_work as workflow

    def work(*_: object, **__: object) -> None:
        raise AssertionError("worked")

    longest = os.pathconf(tmp_path, "PC_NAME_MAX")
    command = ("world", "train", small, "--components", 2, "--work-folder", tmp_path / "work")
    with monkeypatch.context() as patch:
        patch.setattr(workflow, "analyse_for_training", work)
        output = tmp_path / ("w" * (longest + 1))
        assert one_line(run(*command, "-o", output)) == f"speakerid: {output}: File name too long"
        # with a work folder beside it, that has the longer name
        line = one_line(run(*command[:-2], "-o", tmp_path / ("w" * longest)))
        assert line.endswith("work: the work folder cannot be made (file name too long); give another --work-folder")
    assert list(tmp_path.iterdir()) == []
    assert run(*command, "-o", tmp_path / ("w" * longest)).status == 0


def test_stopped_before_anything_is_kept(
    run: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("speakerid.workflows.world.WorldWork", stop)
    outcome = run("world", "train", small, "-o", tmp_path / "w.gmm")
    assert (outcome.status, outcome.out, outcome.err.strip()) == (130, "", "speakerid: stopped; nothing is kept")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_used_is_said(run: Run, small: Path, tmp_path: Path, bad_inputs: dict[str, Path]) -> None:
    folder = tmp_path / "in"
    shutil.copytree(small, folder)
    shutil.copyfile(small / "Tom" / "tom-enroll-1.flac", folder / "copy.flac")
    shutil.copyfile(bad_inputs["text"], folder / "bad.wav")
    shutil.copyfile(bad_inputs["silence"], folder / "silence.wav")
    (folder / "notes.txt").touch()
    outcome = run("world", "train", folder, "--components", 8, "-o", tmp_path / "w.gmm")
    assert outcome.status == 3
    assert "8 components from 9 recordings" in outcome.out
    bad, silence = outcome.complaints
    assert "silence.wav: no speech found in 2.0 s (silence or noise only)" in silence
    assert "bad.wav: not an audio file" in bad
    assert "1 file is not audio by name and passed over" in outcome.err
    assert "1 recordings have the same audio as another one: used once" in outcome.err


def test_wrong_requests_are_one_line(run: Run, small: Path, tmp_path: Path, bad_inputs: dict[str, Path]) -> None:
    output = ("-o", tmp_path / "w.gmm")
    for arguments, says in (
        ((small, "--components", 2048), "2048 components need 1024 s of speech at least, and there are 38 s"),
        ((small, "--components", 0), "0 is not in the range"),
        ((small, "--iterations", 0), "0 is not in the range"),
        ((tmp_path / "missing",), "missing"),
        ((tmp_path / "missing.csv",), "missing.csv"),
        ((bad_inputs["folder"],), "no audio"),
        ((bad_inputs["text"],), "none of 1 recordings can be used"),
        ((bad_inputs["fifo"],), "fifo"),
        ((), "Missing argument"),
        ((small, "--channel", 9), "none of 9 recordings can be used"),
    ):
        assert says in one_line(run("world", "train", *arguments, *output)), arguments
    assert not (tmp_path / "w.gmm").exists()


def test_standard_input_cannot_be_read(run: Run, tmp_path: Path) -> None:
    one_line(run("world", "train", "-", "-o", tmp_path / "w.gmm"))
    assert not (tmp_path / "w.gmm").exists()


def test_a_licence_that_is_no_text(program: Callable[..., Any], small: Path, tmp_path: Path) -> None:
    outcome = program("world", "train", small, "--components", "2", "-o", tmp_path / "w.gmm", "--licence", b"\xff")
    assert (outcome.status, outcome.err) == (0, "")
    (shown,) = program("world", "show", tmp_path / "w.gmm", "--format", "json").json
    assert os.fsencode(shown["licence"]) == b"\xff"


def test_the_front_end_is_the_settings(run: Run, small: Path, tmp_path: Path) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text("[front_end]\ncepstra = 13\ndeltas = 2\n", encoding="utf-8")
    arguments = ("world", "train", small, "--components", 2, "-o", tmp_path / "w.gmm", "--config", settings)
    assert run(*arguments).status == 0
    (found,) = run("world", "show", tmp_path / "w.gmm", "--format", "json").json
    assert (found["features"], found["front_end"]["cepstra"]) == (39, 13)
    table = run("world", "show", tmp_path / "w.gmm").out
    assert "cepstra: 13 against 20; deltas: 2 against 1" in table


def test_fewer_components_than_asked_for_are_told(
    run: Run, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from speakerid.workflows import world_work as workflow

    monkeypatch.setattr(workflow, "split_components", lambda mixture, _n: mixture)
    outcome = run("world", "train", small, "--components", 8, "-o", tmp_path / "w.gmm")
    assert outcome.status == 0
    assert "w.gmm: 1 components from 9 recordings" in outcome.out
    assert outcome.err == "8 components were asked for; more would have been copies of others\n"


# show


# join


@pytest.fixture
def in_rooms(tmp_path: Path, run: Run, small: Path) -> Path:
    path = tmp_path / "rooms.gmm"
    assert run("world", "train", small, "--components", 4, "-o", path, "--degrade", "room:0.3", "--quiet").status == 0
    return path


def test_worlds_are_joined(run: Run, world: Path, in_rooms: Path, tmp_path: Path) -> None:
    output = tmp_path / "both.gmm"
    outcome = run("world", "join", world, in_rooms, "--output", output)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{output}: 12 components in 2 parts: 8 + 4 in rooms\n"
    found, first, second = (
        run("world", "show", path, "--format", "json").json[0] for path in (output, world, in_rooms)
    )
    assert found["components"] == 12
    assert found["degradations"] == "none + room:0.3"
    assert found["licence"] == "Zoë's, CC0"
    assert found["frames"] == first["frames"] + second["frames"]
    assert found["front_end"] == first["front_end"]
    shown = run("world", "show", output)
    assert "8 + 4 in rooms" in shown.out


def test_what_is_said_of_worlds_may_be_anything(run: Run, world: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange.gmm"
    about = {"recordings": "many", "speech_seconds": 10**400, "frames": 7, "degradations": 3}
    write_world(strange, dataclasses.replace(read_world(world), about=about))
    outcome = run("world", "join", *[strange] * 5, "--output", tmp_path / "both.gmm")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.endswith(" 40 components in 5 parts: 5 × (8)\n")
    (found,) = run("world", "show", tmp_path / "both.gmm", "--format", "json").json
    assert (found["recordings"], found["speech_seconds"], found["frames"]) == (0, 0, 35)


def test_worlds_that_are_all_of_rooms_or_none_are_plain_parts(
    run: Run, world: Path, in_rooms: Path, tmp_path: Path
) -> None:
    for path, size in ((world, 8), (in_rooms, 4)):
        outcome = run("world", "join", path, path, "--output", tmp_path / f"{size}.gmm")
        assert outcome.out.endswith(f": {size} + {size}\n")


def test_what_cannot_be_joined_is_one_line(
    run: Run, world: Path, in_rooms: Path, small: Path, tmp_path: Path, digest: Callable[[Path], str]
) -> None:
    before = digest(world)
    both = tmp_path / "both.gmm"
    assert run("world", "join", world, in_rooms, "-o", both).status == 0
    assert one_line(run("world", "join", world, "-o", tmp_path / "x.gmm")).endswith("two world models or more")
    assert "joined already" in one_line(run("world", "join", both, world, "-o", tmp_path / "x.gmm"))
    assert "exists already" in one_line(run("world", "join", world, in_rooms, "-o", both))
    assert run("world", "join", world, in_rooms, "-o", both, "--force").status == 0
    assert "would be written over" in one_line(run("world", "join", world, in_rooms, "-o", world, "--force"))
    assert "cannot be read" in one_line(run("world", "join", world, tmp_path / "none.gmm", "-o", tmp_path / "x.gmm"))
    config = tmp_path / "other.toml"
    config.write_text("[front_end]\ncepstra = 13\n", encoding="utf-8")
    for name, more in (("other.gmm", []), ("other-rooms.gmm", ["--degrade", "reverb"])):
        options = ("--components", 2, "-o", tmp_path / name, "--config", config, "--quiet", *more)
        assert run("world", "train", small, *options).status == 0
    line = one_line(run("world", "join", world, tmp_path / "other.gmm", "-o", tmp_path / "x.gmm"))
    assert "of other features" in line
    assert "cepstra" in line
    pair = (tmp_path / "other.gmm", tmp_path / "other-rooms.gmm")
    assert "without room and reverb" in one_line(run("world", "join", *pair, "-o", tmp_path / "x.gmm"))
    assert not (tmp_path / "x.gmm").exists()
    assert digest(world) == before


def test_show(run: Run, world: Path) -> None:
    (found,) = run("world", "show", world, "--format", "json").json
    assert found["front_end"] == to_dict(FrontEndConfig())
    assert (found["file"], found["components"], found["features"]) == (str(world), 8, 40)
    assert (found["recordings"], found["licence"]) == (9, "Zoë's, CC0")
    assert re.fullmatch("[0-9a-f]{64}", found["digest"])
    assert re.fullmatch("[0-9a-f]{64}", found["list_sha256"])
    outcome = run("world", "show", world)
    assert (outcome.status, outcome.err) == (0, "")
    rows = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in outcome.out.splitlines() if "─" not in line)
    assert (rows["components"], rows["recordings"], rows["licence"]) == ("8", "9", "Zoë's, CC0")
    assert (rows["digest"], rows["front end"]) == (found["digest"], "the defaults")


def test_show_of_something_else_is_one_line(run: Run, tmp_path: Path, small: Path, enrolled: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.gmm", tmp_path / "pipe", tmp_path, enrolled, small / "Tom" / "tom-enroll-1.flac"):
        for layout in ("table", "json"):
            line = one_line(run("world", "show", path, "--format", layout))
            assert line.startswith(f"speakerid: {path}: ")
            assert "world model" in line


def test_a_world_cannot_call_itself_another(run: Run, world: Path) -> None:
    from speakerid.store import World, read_world, write_world

    found = read_world(world)
    write_world(world, World(found.mixture, found.front_end, {"digest": "mine", "components": 9999, "licence": "a\nb"}))
    (shown,) = run("world", "show", world, "--format", "json").json
    assert (shown["digest"], shown["components"]) == (found.digest, 8)
    table = run("world", "show", world).out
    assert "a\nb" not in table


# the other commands


@pytest.fixture
def settings(world: Path) -> Path:
    path = world.parent / "map.toml"
    path.write_text(f'[training]\nmethod = "map"\n[world]\nfile = "{world.name}"\n', encoding="utf-8")
    return path


def test_components_are_the_worlds(run: Run, small: Path, settings: Path, tmp_path: Path) -> None:
    says = "--components is for training by EM; an adapted speaker has as many as the world model"
    new = ("enroll", small, "--db", tmp_path / "s.db")
    assert says in one_line(run(*new, "--config", settings, "--components", 4))
    assert not (tmp_path / "s.db").exists()
    outcome = run(*new, "--config", settings, "--format", "json")
    assert outcome.status == 0
    assert {line["components"] for line in outcome.json} == {8}
    assert 'method: "map" against "ml"; components: 16 against 8' in one_line(run(*new, "--components", 8))


def test_components_alone_ask_for_em(run: Run, small: Path, tmp_path: Path) -> None:
    outcome = run("enroll", small, "--db", tmp_path / "s.db", "--components", 4, "--format", "json")
    assert outcome.status == 0
    assert {line["components"] for line in outcome.json} == {4}
    assert "EM iterations" in run("speakers", "show", "Tom", "--db", tmp_path / "s.db").out


def test_tune_refuses_adaptation(run: Run, small: Path, settings: Path) -> None:
    text = settings.read_text(encoding="utf-8").replace("[world]", "relevance_factor = 8\n[world]")
    settings.write_text(text, encoding="utf-8")
    says = "tune chooses how mixtures are trained by EM; an adapted speaker has the world model's components"
    assert says in one_line(run("tune", small, "--config", settings, "-o", settings.parent / "tuned.toml"))
    assert not (settings.parent / "tuned.toml").exists()


def test_speakers_show(run: Run, small: Path, settings: Path, tmp_path: Path) -> None:
    db = tmp_path / "s.db"
    assert run("enroll", small, "--db", db, "--config", settings).status == 0
    outcome = run("speakers", "show", "Tom", "--db", db)
    assert (outcome.status, outcome.err) == (0, "")
    found = re.search(
        r"model: 8 components, adapted from the world model: log-likelihood (-\d+\.\d+) -> (-\d+\.\d+) nats",
        outcome.out,
    )
    assert found is not None
    assert float(found[1]) < float(found[2])
    assert "EM" not in outcome.out
    (line,) = run("speakers", "show", "Tom", "--db", db, "--format", "json").json
    assert line["components"] == 8
    assert line["training"]["log_likelihoods"] == pytest.approx([float(found[1]), float(found[2])], abs=1e-3)


def test_export_and_import(
    run: Run, small: Path, settings: Path, world: Path, tmp_path: Path, models: Callable[[Path], Any],
    known_files: list[str],
) -> None:  # fmt: skip
    db, team, new = (tmp_path / name for name in ("s.db", "team.db", "new.db"))
    assert run("enroll", small, "--db", db, "--config", settings).status == 0
    assert run("speakers", "export", "--output", team, "--db", db).status == 0
    assert run("speakers", "import", team, "--db", new, "--config", settings).status == 0
    assert models(db) == models(team) == models(new)
    for path in (team, new):
        assert run("identify", known_files[0], "--db", path).out == run("identify", known_files[0], "--db", db).out
    # a store with another world model
    world.unlink()
    assert run("world", "train", small, "--components", 4, "-o", world).status == 0
    other = tmp_path / "other.db"
    assert run("enroll", small / "Tom", "--speaker", "Tim", "--db", other, "--config", settings).status == 0
    before = models(other)
    line = one_line(run("speakers", "import", team, "Alice", "--db", other))
    assert "other.db was made with another world model" in line
    assert "was made with another world model" in one_line(
        run("speakers", "import", team, "--db", tmp_path / "newer.db", "--config", settings)
    )
    assert models(other) == before
    assert not (tmp_path / "newer.db").exists()


def test_a_store_whose_world_is_damaged_is_one_line(
    run: Run, small: Path, settings: Path, tmp_path: Path, change: Callable[..., None], known_files: list[str]
) -> None:
    db = tmp_path / "s.db"
    assert run("enroll", small, "--db", db, "--config", settings).status == 0
    for statement, says in (
        ("UPDATE settings SET value = 'x' || value WHERE name = 'world'", "world model is damaged"),
        ("DELETE FROM settings WHERE name = 'world'", "world model is missing"),
    ):
        change(db, statement)
        for command in (("identify", known_files[0]), ("enroll", small), ("speakers", "list")):
            line = one_line(run(*command, "--db", db))
            assert line.startswith(f"speakerid: {db}: ")
            assert says in line


def test_an_old_store_works(
    run: Run, tmp_path: Path, enrolled_ml: Path, change: Callable[..., None], known_files: list[str], small: Path
) -> None:
    """Of a time when the settings had no method."""
    import contextlib
    import sqlite3

    db = shutil.copyfile(enrolled_ml, tmp_path / "old.db")
    with contextlib.closing(sqlite3.connect(db)) as connection:
        (text,) = connection.execute("SELECT value FROM settings WHERE name = 'training'").fetchone()
    old = {k: v for k, v in json.loads(text).items() if k not in ("method", "relevance_factor", "adapted")}
    assert len(old) == len(json.loads(text)) - 3
    answer = run("identify", known_files[0], "--db", db, "--format", "json").out
    change(db, "UPDATE settings SET value = ? WHERE name = 'training'", values=(json.dumps(old),))
    assert run("identify", known_files[0], "--db", db, "--format", "json").out == answer
    outcome = run("enroll", small, "--db", db, "--format", "json")
    assert (outcome.status, {line["already_enrolled"] for line in outcome.json}) == (0, {3})
    assert "EM iterations" in run("speakers", "show", "Tom", "--db", db).out
