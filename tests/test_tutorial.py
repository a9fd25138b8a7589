"""The tutorial is run: its blocks print what it shows, and make the pictures that it shows."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text(encoding="utf-8")

# a figure, perhaps with thousands' commas, decimals and an exponent
FIGURE = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d*)?(?:e[-+]?\d+)?")
TIME = re.compile(r"\d+ ms\b")
# figures with decimals may differ by so many of their last places: processors round differently
LAST_PLACES = 5


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_tutorial", DOCS / "run_tutorial.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    return _runner()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


@pytest.fixture(scope="module")
def printed(runner: ModuleType, workplace: Path) -> str:
    """The tutorial with what its blocks print now."""
    return str(runner.run(TUTORIAL, workplace))


def _blocks(document: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", document, flags=re.DOTALL | re.MULTILINE)


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", FIGURE.sub(" # ", TIME.sub("# ms", text))).strip()


def _figures(text: str) -> list[str]:
    return FIGURE.findall(TIME.sub("ms", text))


def _agree(shown: str, now: str) -> bool:
    """Whole numbers are equal; others differ by a few of the last places that are shown."""
    if "." not in shown and "e" not in shown:
        return shown == now
    digits, _e, exponent = shown.partition("e")
    place = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(float(shown.replace(",", "")) - float(now.replace(",", ""))) <= LAST_PLACES * place * (1 + 1e-9)


@pytest.mark.parametrize(
    ("shown", "now", "agree"),
    [
        ("3", "3", True),
        ("3", "4", False),
        ("1,295", "1,296", False),
        ("-45.69", "-45.72", True),
        ("-45.69", "-45.75", False),
        ("0.5", "-0.5", False),
        ("2.1e-06", "2.3e-06", True),
        ("2.1e-06", "2.1e-05", False),
    ],
)
def test_agreement(shown: str, now: str, agree: bool) -> None:
    assert _agree(shown, now) is agree
    assert _figures(f"training 12 ms, {shown}") == [shown]


def test_output_of_python(printed: str) -> None:
    shown, now = _blocks(TUTORIAL, "text"), _blocks(printed, "text")
    assert len(shown) == len(now) >= 20
    for one, other in zip(shown, now, strict=True):
        assert _words(one) == _words(other)
        figures = list(zip(_figures(one), _figures(other), strict=True))
        assert not [pair for pair in figures if not _agree(*pair)], f"python docs/run_tutorial.py refreshes\n{one}"


def test_terminal_sessions(printed: str) -> None:
    shown, now = _blocks(TUTORIAL, "console"), _blocks(printed, "console")
    assert len(shown) == len(now) >= 1
    for one, other in zip(shown, now, strict=True):
        assert [_words(line) for line in one.splitlines()] == [_words(line) for line in other.splitlines()]
        assert "(exit status" not in other


def test_prose_is_left_alone(printed: str) -> None:
    outputs = re.compile(r"^```(text|console)\n.*?^```$", flags=re.DOTALL | re.MULTILINE)
    assert outputs.sub("", printed) == outputs.sub("", TUTORIAL)


def test_pictures(runner: ModuleType, printed: str, workplace: Path) -> None:
    """Those that are made are those that are shown, and those that are stored; none is empty or heavy."""
    shown = runner.pictures_shown(TUTORIAL)
    assert len(shown) == len(set(shown)) >= 8
    for folder in (workplace / "pictures", DOCS / "pictures"):
        assert sorted(path.name for path in folder.iterdir()) == sorted(shown)
        for name in shown:
            assert (folder / name).stat().st_size < 60_000, name
            with Image.open(folder / name) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            assert min(pixels.shape[:2]) >= 250, name
            ink = (pixels != 255).any(axis=2).mean()
            assert 0.01 < ink < 0.6, name
            assert len(np.unique(pixels.reshape(-1, 3), axis=0)) >= 16, name


def test_stored_pictures_have_the_size_of_those_that_are_made(printed: str, workplace: Path) -> None:
    for path in (DOCS / "pictures").iterdir():
        with Image.open(path) as stored, Image.open(workplace / "pictures" / path.name) as made:
            # the width of letters may move the frame, not the picture
            assert stored.size == made.size, path.name


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    for words in re.findall(r"!\[([^]]*)\]", TUTORIAL):
        assert len(words) > 20


@pytest.mark.parametrize("command", [["format", "--check"], ["check", "--select", "B,C4,E,F,I,NPY,SIM,UP,W"]])
def test_code_is_formatted(runner: ModuleType, command: list[str]) -> None:
    """As ruff would have it, in lines that fit on a page, but for what notebooks do: imports where they are first used."""
    code = "\n\n".join(runner.python_blocks(TUTORIAL))
    assert max(map(len, code.splitlines())) <= 105
    ignored = ["--ignore", "B905,E402,I001"] if command[0] == "check" else []
    for block in runner.python_blocks(TUTORIAL) if command[0] == "format" else [code]:
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *ignored, "--stdin-filename", "tutorial.py", "-"],
            input=block,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + block


def test_links() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", TUTORIAL, flags=re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TUTORIAL):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (DOCS / target).exists(), target
