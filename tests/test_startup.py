"""Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAVY = (
    "numpy", "scipy", "librosa", "sklearn", "joblib", "soundfile", "soxr", "rich", "sqlite3", "av", "numba",
    "matplotlib", "sounddevice",
)  # fmt: skip
COMMANDS = (
    [],
    ["enroll"],
    ["identify"],
    ["label"],
    ["listen"],
    ["evaluate"],
    ["tune"],
    ["world"],
    ["world", "train"],
    ["world", "show"],
    ["demo"],
    ["doctor"],
    ["cache"],
    *(["cache", name] for name in ("show", "clear")),
    ["speakers"],
    *(["speakers", name] for name in ("list", "show", "rename", "remove", "export", "import")),
)

# run the command line, then say which of the modules named have been loaded
TELL = """
import atexit, json, sys
heavy, *sys.argv[1:] = sys.argv[1:]
def tell():
    print(json.dumps([name for name in json.loads(heavy) if name in sys.modules]), file=sys.__stderr__)
atexit.register(tell)
from speakerid.cli import main
main()
"""


def loaded(outcome: Any) -> list[str]:
    names = json.loads(outcome.err.splitlines()[-1])
    assert isinstance(names, list)
    return names


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_loads_nothing_heavy(python: Callable[..., Any], command: list[str]) -> None:
    outcome = python(TELL, json.dumps(HEAVY), *command, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith("Usage: ")
    assert loaded(outcome) == []


def test_a_wrong_option_loads_nothing_heavy(python: Callable[..., Any]) -> None:
    outcome = python(TELL, json.dumps(HEAVY), "identify", "--no-such-option")
    assert outcome.status == 2
    assert loaded(outcome) == []


def test_the_telltale_tells(python: Callable[..., Any], enrolled: Path) -> None:
    outcome = python(TELL, json.dumps(HEAVY), "speakers", "list", "--db", enrolled)
    assert outcome.status == 0
    assert {"numpy", "sqlite3", "rich"} <= set(loaded(outcome))


def test_import_speakerid_loads_nothing_heavy(python: Callable[..., Any]) -> None:
    code = "import json, sys, speakerid; print(json.dumps([n for n in json.loads(sys.argv[1]) if n in sys.modules]))"
    outcome = python(code, json.dumps([*HEAVY, "click"]))
    assert json.loads(outcome.out) == []


def test_identify_of_a_wav_leaves_the_oracles_alone(
    python: Callable[..., Any], enrolled: Path, tmp_path: Path, speech: tuple[Any, int]
) -> None:
    import soundfile as sf

    path = tmp_path / "question.wav"
    sf.write(path, *speech)
    slow = ["librosa", "sklearn", "numba", "av", "joblib", "scipy", "soxr"]
    outcome = python(
        TELL, json.dumps(["numpy", *slow]), "identify", path, "--db", enrolled, "--format", "json", "--quiet"
    )
    assert outcome.status == 0
    assert outcome.json[0]["decision"] == "Aino"
    assert set(loaded(outcome)) <= {"numpy", "scipy"}
