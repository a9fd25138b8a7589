"""Run the tutorial and refresh what it shows.

    python docs/run_tutorial.py

Its ``python`` blocks are run in order in one namespace, its ``console`` blocks in a shell, all in a temporary folder with
a copy of ``data/sample``. The pictures they make there, in ``pictures/``, go to ``docs/pictures/``. What a python block
prints becomes the ``text`` block below it, and what a command prints, on standard output and then on standard error, what
follows its line.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
PICTURES = ROOT / "docs" / "pictures"

_BLOCK = re.compile(
    r"^```(?P<kind>python|console)\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
_COMMAND = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def python_blocks(document: str) -> list[str]:
    """Return the code of the python blocks."""
    return [block["code"] for block in _BLOCK.finditer(document) if block["kind"] == "python"]


def pictures_shown(document: str) -> list[str]:
    """Return the names of the pictures that the document refers to, in its folder ``pictures``."""
    return re.findall(r"!\[[^]]*\]\(pictures/([^)]+)\)", document)


def run(document: str, folder: Path) -> str:
    """Run all blocks.

    Parameters
    ----------
    document : str
    folder : Path
        Where they run; a copy of the sample recordings and a folder ``pictures`` are made in it.

    Returns
    -------
    document : str
        With what the blocks print now.
    """
    shutil.copytree(ROOT / "data" / "sample", folder / "data" / "sample")
    namespace: dict[str, Any] = {"__name__": "tutorial"}

    def refreshed(block: re.Match[str]) -> str:
        code = block["code"]
        if block["kind"] == "console":
            return "```console\n" + _COMMAND.sub(lambda c: f"$ {c['command']}\n{_shell(c['command'])}", code) + "```\n"
        printed = io.StringIO()
        # empty lines before it, so that a traceback has the document's own line numbers
        padding = "\n" * document.count("\n", 0, block.start("code"))
        with contextlib.redirect_stdout(printed):
            exec(compile(padding + code, str(TUTORIAL), "exec"), namespace)  # noqa: S102 - our own document
        lines = "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())
        return f"```python\n{code}```\n" + (f"\n```text\n{lines}```\n" if lines else "")

    with _inside(folder), mpl.rc_context():
        return _BLOCK.sub(refreshed, document)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder with a program ``speakerid`` on the path and no settings of the user's."""
    program = folder / "bin" / "speakerid"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m speakerid "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    before = os.environ.copy()
    for name in [name for name in os.environ if name.startswith("SPEAKERID_")]:
        del os.environ[name]
    os.environ["PATH"] = f"{program.parent}{os.pathsep}{before.get('PATH', '')}"
    os.environ["PYTHONUTF8"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before.get("PYTHONPATH")]))
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, encoding="utf-8", check=False)  # noqa: S602 - the same
    status = f"(exit status {done.returncode})\n" if done.returncode else ""
    return done.stdout + done.stderr + status


def main() -> None:
    """Refresh the document and its pictures."""
    with tempfile.TemporaryDirectory() as name:
        document = run(TUTORIAL.read_text(encoding="utf-8"), Path(name))
        shutil.rmtree(PICTURES, ignore_errors=True)
        shutil.copytree(Path(name) / "pictures", PICTURES)
    TUTORIAL.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
