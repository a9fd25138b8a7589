"""What every command does alike: help, statuses, interruption, pipes, encodings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from speakerid import __version__
from speakerid.cli import cli

Run = Callable[..., Any]


def commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))


ALL = list(commands())
LEAVES = [path for path in ALL if path not in ((), ("speakers",), ("cache",), ("world",))]


def test_the_commands_of_the_contract() -> None:
    assert set(LEAVES) >= {
        ("enroll",), ("identify",), ("demo",), ("doctor",),
        *(("speakers", name) for name in ("list", "show", "rename", "remove", "export", "import")),
    }  # fmt: skip


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_tells_what_it_does(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert result.stdout == CliRunner().invoke(cli, [*path, "-h"]).stdout


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example_and_the_common_options(path: tuple[str, ...]) -> None:
    text = CliRunner().invoke(cli, [*path, "--help"]).stdout
    assert f"Example:  speakerid {' '.join(path)}" in text
    for option in ("--db PATH", "--config FILE.toml", "--jobs N", "--quiet", "SPEAKERID_DB"):
        assert option in text


def test_the_first_page_shows_its_examples_a_line_each() -> None:
    lines = [line.strip() for line in CliRunner().invoke(cli, ["--help"]).stdout.splitlines()]
    assert not [line for line in lines if "\\b" in line]
    examples = [line.split("   ")[0] for line in lines if line.startswith("speakerid ")]
    assert examples == ["speakerid demo", "speakerid enroll voices/", "speakerid identify question.wav"]


def test_the_version(run: Run) -> None:
    assert run("--version").out == f"speakerid, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["speakers"], ["dance"], *([*path, "--dance"] for path in ALL)], ids=" ".join
)
def test_wrong_usage_is_2(run: Run, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert (outcome.status, outcome.out) == (2, "")
    if arguments in ([], ["speakers"]):
        assert outcome.err.startswith("Usage: "), "a group without a command explains itself"
        return
    [line] = outcome.err.splitlines()
    assert line.startswith("speakerid: No such ")
    assert line.endswith(f"(see {' '.join(['speakerid', *arguments[:-1]])} --help)")


def test_the_tables_of_a_program_s_output_have_no_colour_or_frames_in_json(program: Run, enrolled: Path) -> None:
    outcome = program("speakers", "list", "--db", enrolled, "--format", "json", env={"FORCE_COLOR": "1"})
    assert len(outcome.json) == 10
    assert "\x1b" not in outcome.out


def test_a_terminal_that_knows_only_ascii(program: Run, enrolled: Path, sample: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for layout in ("table", "csv", "json"):
        outcome = program("speakers", "list", "--db", enrolled, "--format", layout, env=ascii_only)
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.out.count("Mary Ann") == 1
    assert "Jos\\xe9" in program("speakers", "list", "--db", enrolled, "--format", "csv", env=ascii_only).out
    answer = program("identify", sample / "test" / "jose-1.flac", "--db", enrolled, "--quiet", env=ascii_only)
    assert (answer.status, answer.err) == (0, "")


# errors inside


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "stopped; "),
        (MemoryError(), 3, "out of memory"),
        (PermissionError(13, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (ZeroDivisionError("boom"), 70, "internal error (ZeroDivisionError: boom)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_no_error_is_a_traceback(
    run: Run, enrolled: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, says: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("speakerid.workflows.identify.Identifier.open", fail)
    outcome = run("identify", "x.wav", "--db", enrolled)
    assert (outcome.status, outcome.out) == (status, "")
    assert "Traceback" not in outcome.err
    (line,) = filter(None, outcome.err.splitlines())
    assert line.startswith(f"speakerid: {says}")


INTERRUPTED = """
import sys
from speakerid.cli import output
from speakerid.cli import main
real = output.Progress.__call__
def call(self, done):
    if done == 5:
        raise KeyboardInterrupt
    real(self, done)
output.Progress.__call__ = call
main()
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_while_identifying(python: Run, enrolled: Path, sample: Path, jobs: str) -> None:
    outcome = python(INTERRUPTED, "identify", sample, "--db", enrolled, "--format", "json", "--jobs", jobs)
    assert outcome.status == 130
    assert len(outcome.json) == 4
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert outcome.err.strip().startswith("speakerid: stopped; ")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_while_enrolling(python: Run, run: Run, sample: Path, tmp_path: Path, jobs: str) -> None:
    db = tmp_path / "s.db"
    outcome = python(INTERRUPTED, "enroll", sample / "enroll", "--db", db, "--jobs", jobs)
    assert outcome.status == 130
    assert outcome.out == ""
    assert run("enroll", sample / "enroll", "--db", db).status == 0
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert outcome.err.strip().startswith("speakerid: stopped; ")


# pipes


def into_head(program_path: Path, arguments: list[str | Path]) -> tuple[int, bytes, str]:
    """Run the command into a reader that goes after one line."""
    with subprocess.Popen([program_path, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        first = child.stdout.readline()
        child.stdout.close()
        err = child.stderr.read().decode()
        child.wait(60)
    return child.returncode, first, err


def test_a_broken_pipe_is_no_trouble(program_path: Path, enrolled: Path, sample: Path) -> None:
    for layout in ("json", "csv"):
        arguments = ["identify", sample, "--db", enrolled, "--format", layout, "--jobs", "1", "--quiet"]
        _status, first, err = into_head(program_path, arguments)
        assert first
        assert "Traceback" not in err
        assert "BrokenPipe" not in err


def test_a_broken_pipe_with_several_jobs_is_no_trouble(program_path: Path, enrolled: Path, sample: Path) -> None:
    arguments = ["identify", sample, "--db", enrolled, "--format", "json", "--jobs", "2", "--quiet"]
    ends = [into_head(program_path, arguments) for _ in range(3)]
    assert [err for _status, _first, err in ends if "silence.flac" not in err and err] == []
    assert {status for status, _first, _err in ends} <= {0, 1, 3}


def test_a_shell_s_head(program_path: Path, enrolled: Path, sample: Path) -> None:
    line = f'"{program_path}" speakers list --db "{enrolled}" --format csv | head -1'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "speaker,recordings,seconds,speech_seconds,components,created,changed\n"
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_answers_is_said(program_path: Path, enrolled: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [program_path, "speakers", "list", "--db", enrolled, "--format", "json"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith("No space left on device")
    assert "Traceback" not in done.stderr


def test_the_module_is_the_program(program: Run, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from speakerid.cli import main; main()", "--version"],
        capture_output=True, text=True, cwd=tmp_path, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == program("--version").out
