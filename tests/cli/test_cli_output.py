"""What goes to a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from speakerid.cli.output import Progress, print_csv


def test_a_bar_is_drawn_on_a_terminal_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is longer than a second when the patience is less than nothing."""
    monkeypatch.setattr(Progress, "_PATIENCE_SECONDS", -1.0)
    monkeypatch.setenv("TERM", "xterm")
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        with Progress(4, "enrolling", quiet=False) as progress:
            progress(1)
            progress(4)
            progress.stop()
            progress(4)
        stderr.flush()
        drawn = ""
        while "\x1b[?25h" not in drawn:  # a terminal gives what there is, in pieces
            drawn += os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert "enrolling" in drawn
    assert "4/4" in drawn
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1  # the cursor is back


@pytest.mark.parametrize("quiet", [True, False])
def test_no_bar_elsewhere(quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Progress, "_PATIENCE_SECONDS", -1.0)
    with Progress(4, "enrolling", quiet=quiet) as progress:
        progress(4)
    assert capsys.readouterr() == ("", "")


def test_names_are_completed(program_path: Path, enrolled: Path) -> None:
    def complete(words: str) -> list[str]:
        environment = {
            **os.environ,
            "COMP_WORDS": f"speakerid {words}",
            "COMP_CWORD": str(len(words.split())),
            "_SPEAKERID_COMPLETE": "bash_complete",
            "SPEAKERID_DB": str(enrolled),
        }
        done = subprocess.run([program_path], env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.split()

    assert complete("speakers show Al") == ["plain,Alice"]
    assert complete("speakers remove R") == ["plain,Robert"]
    assert complete("identify ques") == ["file,ques"]
    assert complete("enroll --db spe") == ["file,spe"]


def test_a_carriage_return_does_not_end_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_csv(("path", "note"), [("a\rb.wav", "x\ny")])
    assert capsys.readouterr().out == 'path,note\na\\rb.wav,"x\ny"\n'
