"""What most tests need: the sample voices, the command line in this process and outside it, and a look into a store.

A store is looked into with plain sqlite3, so that the tests do not believe the code they test.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import settings

# the same examples in every run: a failure in CI is a failure here
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

# features that a test computes are not the user's business
CACHE = tempfile.TemporaryDirectory(prefix="speakerid-tests-", ignore_cleanup_errors=True)
os.environ["SPEAKERID_CACHE"] = CACHE.name

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
PROGRAM = Path(sys.executable).with_name("speakerid")


Way = tuple[list[str | Path], Path]


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """Every line of the answer, which must be one JSON object each."""
        return [json.loads(line, parse_constant=_not_json) for line in self.out.splitlines()]

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))

    @property
    def complaints(self) -> list[str]:
        """Lines of trouble."""
        return [line for line in self.err.splitlines() if line.startswith("speakerid: ")]


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _environment(changes: dict[str, str] | None) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SPEAKERID_")}
    # a file that is not closed is a line on standard error, and the tests of it fail
    clean["SPEAKERID_CACHE"] = CACHE.name
    return {**clean, "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "always::ResourceWarning", **(changes or {})}


@pytest.fixture(scope="session")
def sample() -> Path:
    """The folder of the sample recordings; a checkout without it is broken, so nothing is skipped."""
    assert (SAMPLE / "enroll").is_dir()
    return SAMPLE


@pytest.fixture(scope="session")
def truth(sample: Path) -> dict[str, str]:
    """Speaker by file name of the test recordings; strangers are `unknown`."""
    with (sample / "protocol.csv").open(encoding="utf-8", newline="") as file:
        return {Path(row["path"]).name: row["speaker"] for row in csv.DictReader(file) if row["split"] == "test"}


@pytest.fixture(scope="session")
def known_files(sample: Path, truth: dict[str, str]) -> list[str]:
    """Test recordings of enrolled voices."""
    enrolled = {folder.name for folder in (sample / "enroll").iterdir()}
    return [str(sample / "test" / name) for name, speaker in sorted(truth.items()) if speaker in enrolled]


@pytest.fixture(scope="session")
def stranger_files(sample: Path) -> list[str]:
    return sorted(str(path) for path in (sample / "test").glob("stranger-*.flac"))


@pytest.fixture(scope="session")
def run() -> Callable[..., Outcome]:
    """Run the command line in this process, through `speakerid.cli.main`, as the installed command does."""
    return _run


def _run(*arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Outcome:
    from speakerid.cli import main

    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for name in ("stdout", "stderr")}
    streams["stdin"] = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as open_streams:
        for name, stream in streams.items():
            patch.setattr(sys, name, open_streams.enter_context(stream))
        patch.setattr(sys, "argv", ["speakerid", *map(str, arguments)])
        # a command that ends the process at once must not end pytest
        patch.setattr(os, "_exit", sys.exit)
        patch.delenv("SPEAKERID_DB", raising=False)
        for key, value in (env or {}).items():
            patch.setenv(key, value)
        with pytest.raises(SystemExit) as end:
            main()
        texts = []
        for name in ("stdout", "stderr"):
            streams[name].flush()
            texts.append(streams[name].buffer.getvalue().decode("utf-8"))
    code = end.value.code
    assert isinstance(code, int), code
    assert "Traceback" not in texts[1]
    return Outcome(code, *texts)


@pytest.fixture(scope="session")
def program() -> Callable[..., Outcome]:
    """Run the installed command in a process of its own."""

    def call(
        *arguments: str | Path | bytes, stdin: bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Outcome:
        done = subprocess.run(
            [PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            env=_environment(env),
            cwd=cwd,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return call


@pytest.fixture(scope="session")
def python() -> Callable[..., Outcome]:
    """Run a piece of Python in a process of its own, with the arguments in `sys.argv[1:]`."""

    def call(code: str, *arguments: str | Path, env: dict[str, str] | None = None) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            env=_environment(env),
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    return call


@pytest.fixture(scope="session")
def start_python() -> Callable[..., subprocess.Popen[str]]:
    """Start a piece of Python and go on."""

    def call(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(None),
        )

    return call


@pytest.fixture(scope="session")
def program_path() -> Path:
    return PROGRAM


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A store with the ten sample voices; nobody may write to it."""
    path = tmp_path_factory.mktemp("enrolled") / "speakers.db"
    outcome = _run("enroll", sample / "enroll", "--db", path, "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    return path


@pytest.fixture(scope="session")
def by_likelihood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings for training by EM, without a world model."""
    path = tmp_path_factory.mktemp("settings") / "ml.toml"
    path.write_text('[training]\nmethod = "ml"\n[world]\nfile = ""\n', encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def enrolled_ml(tmp_path_factory: pytest.TempPathFactory, sample: Path, by_likelihood: Path) -> Path:
    """The ten sample voices with mixtures by EM; nobody may write to it."""
    path = tmp_path_factory.mktemp("enrolled") / "speakers.db"
    outcome = _run("enroll", sample / "enroll", "--db", path, "--config", by_likelihood, "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    return path


@pytest.fixture(params=["map", "ml"])
def way(request: pytest.FixtureRequest, enrolled: Path, enrolled_ml: Path, by_likelihood: Path) -> Way:
    """Both ways to learn speakers: options of a command that makes a store, and a store so made."""
    return ([], enrolled) if request.param == "map" else (["--config", by_likelihood], enrolled_ml)


@pytest.fixture
def db(tmp_path: Path, enrolled: Path) -> Path:
    """The ten sample voices, to write to."""
    path = tmp_path / "speakers.db"
    shutil.copyfile(enrolled, path)
    return path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, sample: Path) -> Path:
    """A folder of three speakers."""
    folder = tmp_path_factory.mktemp("voices")
    for name in ("Alice", "Mary Ann", "Tom"):
        shutil.copytree(sample / "enroll" / name, folder / name)
    return folder


Blobs = dict[str, tuple[int, int, bytes, bytes, bytes]]


@pytest.fixture(scope="session")
def models() -> Callable[[Path], Blobs]:
    """Every model of a store, as the bytes in the file."""

    def read(path: Path) -> Blobs:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT s.name, m.n_components, m.n_features, m.weights, m.means, m.variances"
                " FROM models m JOIN speakers s ON s.id = m.speaker_id"
            ).fetchall()
        return {name: tuple(rest) for name, *rest in rows}

    return read


@pytest.fixture(scope="session")
def recordings() -> Callable[[Path], dict[str, set[str]]]:
    """Content hashes of every speaker of a store."""

    def read(path: Path) -> dict[str, set[str]]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT s.name, r.content_hash FROM speakers s LEFT JOIN recordings r ON s.id = r.speaker_id"
            ).fetchall()
        found: dict[str, set[str]] = {}
        for name, content_hash in rows:
            found.setdefault(name, set()).update([content_hash] if content_hash else [])
        return found

    return read


@pytest.fixture(scope="session")
def change() -> Callable[..., None]:
    """Change a store behind speakerid's back."""

    def execute(path: Path, *statements: str, values: tuple[Any, ...] = ()) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement, values)
            connection.commit()

    return execute


@pytest.fixture(scope="session")
def digest() -> Callable[[Path], str]:
    """A fingerprint of a file's bytes."""
    return lambda path: hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def speech(sample: Path) -> tuple[np.ndarray, int]:
    """Three seconds of Aino, int16, and the rate."""
    return sf.read(sample / "test" / "aino-1.flac", dtype="int16")


@pytest.fixture
def bad_inputs(tmp_path: Path, speech: tuple[np.ndarray, int]) -> Iterator[dict[str, Path]]:
    """Everything that must not get a name, by what it is."""
    samples, rate = speech
    folder = tmp_path / "bad inputs"
    folder.mkdir()
    paths = {
        name: folder / f"{name}.wav" for name in ("empty", "silence", "noise", "clip", "text", "truncated", "fifo")
    }
    paths["empty"].touch()
    sf.write(paths["silence"], np.zeros(2 * rate, np.int16), rate)
    noise = np.random.default_rng(7).standard_normal(3 * rate) * 3000
    sf.write(paths["noise"], noise.astype(np.int16), rate)
    middle = len(samples) // 2
    sf.write(paths["clip"], samples[middle : middle + rate // 20], rate)
    paths["text"].write_text("This is a letter, not a recording.\n" * 40, encoding="utf-8")
    sf.write(paths["truncated"], samples, rate)
    whole = paths["truncated"].read_bytes()
    paths["truncated"].write_bytes(whole[: len(whole) // 2])
    os.mkfifo(paths["fifo"])
    paths["folder"] = folder / "no audio here"
    paths["folder"].mkdir()
    (paths["folder"] / "readme.txt").write_text("nothing", encoding="utf-8")
    paths["missing"] = folder / "missing.wav"
    return paths


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Real speech, where it is installed."""
    folder = Path(os.environ.get("SPEAKERID_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not (folder / "protocols").is_dir():
        pytest.skip(f"no corpora at {folder}: the accuracy on real speech was NOT tested; set SPEAKERID_CORPORA")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, to look at pages: the one that SPEAKERID_CHROMIUM names, or the first of the usual names on the path."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    path = os.environ.get("SPEAKERID_CHROMIUM") or next(found, None)
    if path is None:
        pytest.skip("no Chromium; set SPEAKERID_CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()
