"""The README is run: its terminal sessions print what it says, its Python runs, its recipes exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "data" / "sample" / "enroll", folder / "voices")
    shutil.copytree(ROOT / "data" / "sample" / "test", folder / "questions")
    for name in ("conversation.flac", "conversation.rttm"):
        shutil.copy(ROOT / "data" / "sample" / name, folder)
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    program = bin_folder / "speakerid"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from speakerid.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    return folder


def _run(command: str, workplace: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPEAKERID_")}
    environment["SPEAKERID_CACHE"] = str(workplace / "cache")
    environment["PATH"] = f"{workplace / 'bin'}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    status = f"(exit status {done.returncode})\n" if done.returncode else ""
    return done.stdout + done.stderr + status


def _shape(text: str) -> list[str]:
    """Words and layout without the digits, which differ in the last places between processors."""
    return [re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?", "#", line)).strip() for line in text.splitlines()]


def test_terminal_sessions(workplace: Path) -> None:
    sessions = re.findall(r"```console\n(.*?)```", README, flags=re.DOTALL)
    steps = [step for session in sessions for step in re.split(r"^\$ ", session, flags=re.MULTILINE) if step]
    assert len(steps) >= 10
    for step in steps:
        command, _, expected = step.partition("\n")
        assert _shape(_run(command, workplace)) == _shape(expected), command


def test_figures_of_the_session(workplace: Path) -> None:
    """The scores shown are the scores, to the digits that are shown."""
    _run("speakerid enroll voices/ --db figures.db --quiet", workplace)
    line = _run("speakerid identify --format csv questions/alice-1.flac --db figures.db", workplace).splitlines()[1]
    margin, ratio = float(line.split(",")[6]), float(line.split(",")[14])
    assert f" Alice > 99.9 % {ratio:.1f} {margin:.2f} " in re.sub(r" +", " ", README)


def test_python(workplace: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    environment = os.environ | {"SPEAKERID_CACHE": str(workplace / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("identified Duncan")


def test_no_install_of_somebody_elses_package() -> None:
    for path in (ROOT / "README.md", ROOT / "data" / "README.md"):
        assert not re.search(r"pip3? install speakerid(?!-gmm)", path.read_text(encoding="utf-8"))


def test_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_targets_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)`?", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, workplace: Path) -> None:
    """The lines to put into the shells' files give scripts for the command."""
    assert f"_SPEAKERID_COMPLETE={shell}_source speakerid" in README
    script = _run(f"_SPEAKERID_COMPLETE={shell}_source speakerid", workplace)
    assert f"{shell}_complete" in script
    assert "(exit status" not in script
