"""The recordings in data/sample, the script that describes them, and the layout of LibriSpeech."""

from __future__ import annotations

import csv
import functools
import hashlib
import http.server
import importlib.util
import io
import sys
import tarfile
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

DATA = Path(__file__).parents[1] / "data"
SAMPLE = DATA / "sample"
ENROLL = sorted(SAMPLE.glob("enroll/*/*.flac"))
TEST = sorted(SAMPLE.glob("test/*.flac"))
SPEECH = [path for path in ENROLL + TEST if path.stem != "silence"]


def load(name):
    spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses looks its module up there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


@pytest.fixture(scope="module")
def make_sample():
    return load("make_sample")


@pytest.fixture(scope="module")
def librispeech():
    return load("fetch_librispeech")


def names_of(paths):
    return [unicodedata.normalize("NFC", path.relative_to(SAMPLE).as_posix()) for path in paths]


# The sample


def test_at_least_eight_speakers_with_three_recordings_each():
    folders = [path for path in (SAMPLE / "enroll").iterdir() if path.is_dir()]
    assert len(folders) >= 8
    assert all(len(list(folder.glob("*.flac"))) == 3 for folder in folders)
    names = {unicodedata.normalize("NFC", folder.name) for folder in folders}
    assert "Mary Ann" in names  # a space
    assert "José" in names  # an accent


def test_every_speaker_has_a_test_and_two_strangers_and_silence_are_there():
    tests = {path.stem.rpartition("-")[0] for path in TEST if path.stem != "silence"}
    enrolled = {path.stem.rpartition("-enroll-")[0] for path in ENROLL}
    assert tests - enrolled == {"stranger"}
    assert enrolled <= tests
    assert {"stranger-1.flac", "stranger-2.flac", "silence.flac"} <= {path.name for path in TEST}


def test_the_files_are_those_of_the_script(make_sample):
    assert sorted(names_of(ENROLL + TEST)) == sorted(name for name, *_ in make_sample.plan())


def test_every_sentence_is_said_once(make_sample):
    sentences = [text for _, _, voice, text in make_sample.plan() if voice is not None]
    assert len(sentences) == len(set(sentences)) == len(SPEECH)
    voices = [(voice.engine, voice.voice) for voice in make_sample.VOICES]
    assert len(voices) == len(set(voices))


@pytest.mark.parametrize("path", ENROLL + TEST, ids=lambda path: path.name)
def test_mono_16_khz_16_bit_flac(path):
    info = sf.info(path)
    assert (info.format, info.subtype, info.channels, info.samplerate) == ("FLAC", "PCM_16", 1, 16_000)


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.name)
def test_levels_lengths_and_margins(path):
    samples, rate_hz = sf.read(path)
    low, high = (3.5, 5.5) if path in ENROLL else (2.0, 5.0)
    assert low < len(samples) / rate_hz < high
    peak_db = 20 * np.log10(np.abs(samples).max())
    assert -15.1 < peak_db < -8.9
    edge = samples[: round(0.15 * rate_hz)]
    assert -75 < 10 * np.log10(np.mean(edge**2)) < -45  # the noise floor, and no speech yet
    assert np.abs(np.mean(samples)) < 1e-2


def test_silence_is_three_seconds_of_zeros():
    samples, rate_hz = sf.read(SAMPLE / "test" / "silence.flac", dtype="int16")
    assert len(samples) == 3 * rate_hz
    assert not samples.any()


def test_no_two_recordings_are_the_same():
    contents = {sf.read(path, dtype="int16")[0].tobytes() for path in ENROLL + TEST}
    assert len(contents) == len(ENROLL + TEST)


def test_the_sample_is_at_most_four_megabytes():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) <= 4_000_000


def test_the_protocol_lists_every_recording_but_silence():
    with (SAMPLE / "protocol.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["path"] for row in rows) == sorted(names_of(SPEECH))
    assert all(row["split"] == row["path"].split("/")[0] for row in rows)
    enrolled = {row["speaker"] for row in rows if row["split"] == "enroll"}
    assert all(row["path"].split("/")[1] == row["speaker"] for row in rows if row["split"] == "enroll")
    impostors = {row["speaker"] for row in rows if row["split"] == "test"} - enrolled
    assert impostors == {"stranger-1", "stranger-2", "stranger-3"}


def test_the_readme_names_every_voice_and_package(make_sample):
    text = (SAMPLE / "README.md").read_text(encoding="utf-8")
    for voice in make_sample.VOICES:
        assert f"| {voice.name or voice.slug} |" in text
        assert f"`{voice.voice}`" in text
    assert all(f"`{package}`" in text for package in make_sample.DEBIAN_PACKAGES.split())


def test_a_recording_is_trimmed_to_its_margins(make_sample):
    rng = np.random.default_rng(1)
    speech = rng.standard_normal(16_000)
    margin = round(make_sample.MARGIN_S * make_sample.RATE_HZ)
    long = np.concatenate([np.zeros(8_000), speech, np.zeros(16_000)])
    for samples in (speech, long):
        trimmed = make_sample.trim(samples)
        assert len(trimmed) == len(speech) + 2 * margin
        assert np.array_equal(trimmed[margin:-margin], speech)
        assert not trimmed[:margin].any()
        assert not trimmed[-margin:].any()


def test_a_missing_synthesizer_is_one_line(make_sample, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make_sample.main(["--output", str(tmp_path / "sample")]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert "is not installed; try: apt-get install" in error[0]
    assert not (tmp_path / "sample").exists()


# LibriSpeech

UTTERANCES = {
    "LibriSpeech/dev-clean/84/121123/84-121123-0000.flac": b"one",
    "LibriSpeech/dev-clean/84/121123/84-121123-0001.flac": b"two",
    "LibriSpeech/dev-clean/84/121550/84-121550-0000.flac": b"three",
    "LibriSpeech/dev-clean/174/50561/174-50561-0000.flac": b"four",
}
LAID_OUT = {
    "84/84-121123-0000.flac": b"one",
    "84/84-121123-0001.flac": b"two",
    "84/84-121550-0000.flac": b"three",
    "174/174-50561-0000.flac": b"four",
}


def write_archive(path, extra=()):
    members = {**UTTERANCES, "LibriSpeech/README.TXT": b"read me", **dict(extra)}
    members["LibriSpeech/dev-clean/84/121123/84-121123.trans.txt"] = b"84-121123-0000 GO"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("LibriSpeech/dev-clean/84/121123/84-121123-0009.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../../../outside"
        tar.addfile(link)
    return hashlib.md5(path.read_bytes()).hexdigest()


def flacs(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.flac")}


def test_layout_is_one_folder_a_speaker(librispeech, tmp_path, capsys):
    archive, output = tmp_path / "archive.tar.gz", tmp_path / "corpus"
    md5 = write_archive(archive)
    arguments = ["--output", str(output), "--archive", str(archive)]
    assert librispeech.main(arguments, md5=md5) == 0
    assert "2 speakers, 4 utterances" in capsys.readouterr().out
    assert flacs(output) == LAID_OUT
    assert {path.name for path in output.iterdir()} == {"84", "174", "SOURCE.txt"}
    assert "CC BY 4.0" in (output / "SOURCE.txt").read_text(encoding="utf-8")

    archive.unlink()  # a second run needs nothing and does nothing
    assert librispeech.main(arguments, md5=md5) == 0
    assert "complete already" in capsys.readouterr().out


def test_a_run_that_was_cut_short_is_finished(librispeech, tmp_path):
    archive, output = tmp_path / "archive.tar.gz", tmp_path / "corpus"
    md5 = write_archive(archive)
    (output / "84").mkdir(parents=True)
    (output / "84" / "84-121123-0000.flac").write_bytes(b"one")
    (output / ".unpack").mkdir()
    (output / ".unpack" / "half").write_bytes(b"o")
    assert librispeech.main(["--output", str(output), "--archive", str(archive)], md5=md5) == 0
    assert flacs(output) == LAID_OUT
    assert not (output / ".unpack").exists()


def test_nothing_is_written_outside_the_folder(librispeech, tmp_path):
    archive, output = tmp_path / "archive.tar.gz", tmp_path / "corpus"
    write_archive(archive, {"../evil-1.flac": b"x", "LibriSpeech/dev-clean/84/../../../evil-2.flac": b"x"})
    assert librispeech.lay_out(archive, output) == 4
    assert flacs(output) == LAID_OUT
    assert {path.name for path in tmp_path.iterdir()} == {"archive.tar.gz", "corpus"}


@pytest.mark.parametrize("kind", ["wrong checksum", "missing", "not an archive", "truncated", "other archive"])
def test_a_bad_archive_is_one_line(kind, librispeech, tmp_path, capsys):
    archive, output = tmp_path / "archive.tar.gz", tmp_path / "corpus"
    noise = np.random.default_rng(1)
    write_archive(archive, {f"LibriSpeech/dev-clean/1/2/1-2-{i:04}.flac": noise.bytes(999) for i in range(99)})
    if kind == "missing":
        archive.unlink()
    elif kind == "not an archive":
        archive.write_bytes(b"<html>not found</html>")
    elif kind == "truncated":
        archive.write_bytes(archive.read_bytes()[:50_000])
    elif kind == "other archive":
        with tarfile.open(archive, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("something"), io.BytesIO())
    right = hashlib.md5(archive.read_bytes()).hexdigest() if archive.exists() else "0" * 32
    md5 = "0" * 32 if kind == "wrong checksum" else right
    assert librispeech.main(["--output", str(output), "--archive", str(archive)], md5=md5) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert str(archive) in error[0]
    assert not (output / "SOURCE.txt").exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve ``tmp_path/www`` on this computer; give its address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "www").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_download_verifies_lays_out_and_cleans_up(librispeech, server, tmp_path, capsys):
    md5 = write_archive(tmp_path / "www" / "dev-clean.tar.gz")
    output = tmp_path / "corpus"
    url = f"{server}/dev-clean.tar.gz"
    assert librispeech.main(["--output", str(output)], url=url, md5="0" * 32) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("try again")
    assert librispeech.main(["--output", str(output), "--keep-archive"], url=url, md5=md5) == 0
    assert flacs(output) == LAID_OUT
    assert (output / ".download" / "dev-clean.tar.gz").is_file()

    (output / "SOURCE.txt").unlink()
    assert librispeech.main(["--output", str(output)], url=url, md5=md5) == 0
    assert flacs(output) == LAID_OUT
    assert {path.name for path in output.iterdir()} == {"84", "174", "SOURCE.txt"}


def test_no_network_is_one_line(librispeech, server, tmp_path, capsys):
    assert librispeech.main(["--output", str(tmp_path / "corpus")], url=f"{server}/nothing-here.tar.gz") == 1
    assert librispeech.main(["--output", str(tmp_path / "corpus")], url="http://127.0.0.1:1/dev-clean.tar.gz") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("downloading")]
    assert len(errors) == 2
    assert all("cannot download" in line and "--archive FILE" in line for line in errors)


# The snippets of data/README.md


def snippet(word):
    blocks = (DATA / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    (found,) = [code for code in (block.split("```")[0] for block in blocks) if word in code]
    return compile(found, "data/README.md", "exec")


def test_voxforge_snippet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    archives = tmp_path / "data" / "voxforge-archives"
    archives.mkdir(parents=True)
    for session in ("anna-20090101-abc", "anna-20090202-xyz", "anonymous-20090303-qqq"):
        with tarfile.open(archives / f"{session}.tgz", "w:gz") as tar:
            for name in (f"{session}/wav/a0001.wav", f"{session}/etc/README"):
                tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    exec(snippet("voxforge"), {})
    written = {path.relative_to(tmp_path / "data" / "voxforge").as_posix() for path in tmp_path.rglob("*.wav")}
    assert written == {"anna/anna-20090101-abc_a0001.wav", "anna/anna-20090202-xyz_a0001.wav"}


def test_spoken_digits_snippet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "data" / "fsdd-source" / "recordings"
    source.mkdir(parents=True)
    for name in ("7_jackson_4.wav", "7_jackson_5.wav", "0_theo_49.wav"):
        (source / name).write_bytes(b"")
    exec(snippet("fsdd"), {})
    fsdd = tmp_path / "data" / "fsdd"
    written = {path.relative_to(fsdd).as_posix() for path in fsdd.rglob("*.wav")}
    assert written == {"test/jackson/7_jackson_4.wav", "enroll/jackson/7_jackson_5.wav", "enroll/theo/0_theo_49.wav"}
