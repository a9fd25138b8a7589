"""Accuracy on the shared protocols, by the command line: enrol a protocol, identify it, compare with its test rows.

Top-1 over all test rows of enrolled speakers; a recording without an answer counts as wrong. The interval is Wilson's, 95 %.
Run alone with ``python -m benchmarks.protocols [NAME ...]``.
"""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROTOCOLS = (
    "librispeech-10-closed",
    "librispeech-251-2s",
    "librispeech-3-cross-chapter",
    "arabic-commands-other-words",
    "dspspeech-other-words",
    "fsdd-digits",
)
_PROGRAM = [sys.executable, "-m", "speakerid"]


def corpora() -> Path | None:
    """Where the corpora are, or None."""
    folder = Path(os.environ.get("SPEAKERID_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))
    return folder if folder.is_dir() else None


@dataclass(frozen=True)
class Result:
    """Right answers of a protocol."""

    name: str
    right: int
    asked: int
    undecided: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share of right answers (Wilson 1927)."""
        z, n, p = 1.959964, self.asked, self.right / self.asked
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return centre - half, centre + half


def run_protocol(protocol: Path, *options: str) -> Result:
    """Enrol and identify one protocol with the real program."""
    with protocol.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    enrolled = {row["speaker"] for row in rows if row["split"] == "enroll"}
    tests = [row for row in rows if row["split"] == "test"]
    with tempfile.TemporaryDirectory() as folder:
        db = ["--db", str(Path(folder) / "speakers.db"), "--quiet", *options]
        # status 3: single recordings could not be enrolled (a digit of 0.2 s without a vowel), which is part of the result
        enrolled_now = subprocess.run(
            [*_PROGRAM, "enroll", str(protocol), *db], check=False, capture_output=True, text=True
        )
        if enrolled_now.returncode not in (0, 3):
            raise RuntimeError(enrolled_now.stderr[-500:])
        asked = subprocess.run(
            [*_PROGRAM, "identify", str(protocol), "--format", "json", "--top", "1", *db],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
    answers = [json.loads(line) for line in asked.stdout.splitlines()]
    if len(answers) != len(tests):
        message = f"{protocol.name}: {len(tests)} tests, {len(answers)} answers: {asked.stderr[-500:]}"
        raise RuntimeError(message)
    known = [(row, answer) for row, answer in zip(tests, answers, strict=True) if row["speaker"] in enrolled]
    right = sum(answer["decision"] == row["speaker"] for row, answer in known)
    return Result(protocol.stem, right, len(known), sum(a["status"] == "undecided" for _row, a in known))


def run_all(names: tuple[str, ...] = PROTOCOLS) -> Iterator[Result]:
    """Run the protocols that are there."""
    folder = corpora()
    if folder is None:
        return
    for name in names:
        yield run_protocol(folder / "protocols" / f"{name}.csv")


def table(results: Iterator[Result]) -> str:
    """Markdown."""
    lines = ["| protocol | top-1 | 95 % interval | tests | no answer |", "|---|---|---|---|---|"]
    for r in results:
        low, high = r.interval
        share, interval = f"{100 * r.right / r.asked:.1f} %", f"{100 * low:.1f}-{100 * high:.1f}"
        lines.append(f"| `{r.name}` | {share} | {interval} | {r.asked} | {r.undecided} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if corpora() is None:
        sys.exit("no corpora: set SPEAKERID_CORPORA")
    print(table(run_all(tuple(sys.argv[1:]) or PROTOCOLS)))
