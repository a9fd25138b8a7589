"""``speakerid evaluate --degrade``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

Run = Callable[..., Any]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "few.toml"
    path.write_text('[training]\nmethod = "ml"\ncomponents = 4\n[world]\nfile = ""\n', encoding="utf-8")
    return path


def test_many_degradations_are_rows_of_a_table(run: Run, sample: Path, config: Path, tmp_path: Path) -> None:
    texts = ["noise:25", "telephone", "reverb", "gain:12", "codec:opus", "telephone+noise:20"]
    wanted = [word for text in texts for word in ("--degrade", text)]
    files = ["--json", tmp_path / "r.json", "--report", tmp_path / "r.html", "--scores", tmp_path / "s.csv"]
    outcome = run("evaluate", sample / "protocol.csv", "--config", config, *files, *wanted)
    assert outcome.status in {0, 3}  # noise may leave no speech to find
    header, _line, *rows = outcome.out.splitlines()
    assert header.split("  ")[0].strip() == "System"
    for heading in ("Top-1 %", "95 % interval", "Strangers EER %", "Verification EER %", "Undecided"):
        assert heading in header
    assert [row.split()[0] for row in rows] == ["clean", *texts]
    assert max(map(len, rows)) < 110
    values = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert [each["degradation"] for each in values["other_systems"]] == texts
    assert len(values["differences"]) == len(texts)
    for row, system in zip(rows, [values, *values["other_systems"]], strict=True):
        assert row.split()[1] == f"{100 * system['top1']:.1f}"
        assert row.split()[-1] == str(sum(system["undecided"].values()))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert all(text in page for text in texts)
    plain = run("evaluate", sample / "protocol.csv", "--config", config, "--json", tmp_path / "plain.json")
    assert plain.status == 0
    alone = json.loads((tmp_path / "plain.json").read_text(encoding="utf-8"))
    for key in ("top1", "top1_ci95", "top1_ci95_bootstrap", "open_set", "verification", "trials", "confusion"):
        assert values.get(key) == alone.get(key)


def test_few_systems_stay_columns(run: Run, sample: Path, config: Path) -> None:
    outcome = run("evaluate", sample / "protocol.csv", "--config", config, "--degrade", "clip:3")
    assert outcome.status == 0
    assert outcome.out.splitlines()[0].split()[0] == "Figure"
    assert "clean" in outcome.out.splitlines()[0]
    assert "clip:3" in outcome.out.splitlines()[0]


def test_json_lines_name_the_degradation(run: Run, sample: Path, config: Path) -> None:
    outcome = run("evaluate", sample / "protocol.csv", "--config", config, "--degrade", "clip:3", "--format", "json")
    assert [(line["system"], line["degradation"]) for line in outcome.json] == [("clean", None), ("clip:3", "clip:3")]


@pytest.mark.parametrize(
    "text",
    [
        "noise",
        "noise:10:nowhere/",
        "codec:aac",
        "band:5",
        "",
        "telephone+",
        "noise:10:white:x",
        "gain:=loud",
        "reverb:99",
    ],
)
def test_what_is_no_degradation_is_one_line_and_no_work(run: Run, sample: Path, config: Path, text: str) -> None:
    outcome = run("evaluate", sample / "protocol.csv", "--config", config, "--degrade", text)
    assert outcome.status == 2
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith((f'speakerid: degradation "{text}": ', "speakerid: nowhere/: ", "speakerid: white:x: "))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_folder_of_noises_whose_name_is_no_text(run: Run, sample: Path, config: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff"))
    folder.mkdir()
    samples, rate = sf.read(sample / "test" / "alice-1.flac")
    with (folder / "a.wav").open("wb") as file:
        sf.write(file, samples, rate, format="WAV")
    files = ["--json", tmp_path / "r.json", "--report", tmp_path / "r.html", "--scores", tmp_path / "s.csv"]
    arguments = ["evaluate", sample / "protocol.csv", "--config", config, "--degrade", f"noise:30:{folder}", *files]
    for _ in range(2):
        outcome = run(*arguments)
        assert outcome.status == 0, outcome.err
        assert "\\udcff" in outcome.out
    values = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert values["other_systems"][0]["degradation"] == f"noise:30:{folder}"


def test_the_same_twice_is_refused(run: Run, sample: Path, config: Path) -> None:
    outcome = run(
        "evaluate", sample / "protocol.csv", "--config", config, "--degrade", "noise:10", "--degrade", "noise:10.0"
    )
    assert outcome.status == 2
    assert "twice" in outcome.err


def test_a_file_of_noise_is_not_written_over(run: Run, sample: Path, config: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise.json"
    samples, rate = sf.read(sample / "test" / "alice-1.flac")
    sf.write(noise, samples, rate, format="WAV")
    before = noise.read_bytes()
    wanted = ["--degrade", f"noise:10:{noise}", "--json", noise]
    outcome = run("evaluate", sample / "protocol.csv", "--config", config, *wanted)
    assert outcome.status == 2
    assert "would be written over" in outcome.err
    assert noise.read_bytes() == before
