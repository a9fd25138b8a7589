"""Accuracy on all shared protocols, by `speakerid.evaluate`, beside what others reach. Writes its part of README.md.

``python -m benchmarks.panel [--config FILE.toml ...]`` (`make panel`). It runs three times: with an empty cache, with a warm
one, and with a warm one and another number of components, to see what the cache saves.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import soundfile

import speakerid
from speakerid.config import Config, TrainingConfig, WorldConfig, load_config
from speakerid.workflows.world import gather_for_world, train_world

HERE = Path(__file__).parent
BEGIN, END = "<!-- panel: begin -->", "<!-- panel: end -->"

# top-1 in %, or with detection EER; from the README of the corpora: maximum likelihood with 16 components and 13 MFCC + Δ +
# ΔΔ; a world model of 256 with MAP adaptation and 20 MFCC + Δ + ΔΔ; Resemblyzer 0.1.4, a neural d-vector
BASELINES = {
    "librispeech-251-2s": ("98.3", "100.0 ¹", "99.4"),
    "librispeech-10-closed": ("100", "100", "100"),
    "librispeech-10-open": ("100; EER 16.7", "100; EER 0.0 ¹", "100; EER 0.4"),
    "librispeech-3-cross-chapter": ("100", "100", "100"),
    "arabic-commands-other-words": ("91.7", "96.0", "91.7"),
    "dspspeech-other-words": ("92.6", "95.6", "85.0"),
    "fsdd-digits": ("99.8", "99.5", "96.4"),
    "ami-timelines": ("-", "-", "-"),
}


def corpora() -> Path | None:
    """Where the corpora are, or None."""
    folder = Path(os.environ.get("SPEAKERID_CORPORA", HERE.parents[1] / "shared" / "corpora"))
    return folder if folder.is_dir() else None


def run_panel(protocols: Path, config: Config | Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Results by protocol."""
    return {name: speakerid.evaluate(protocols / f"{name}.csv", config=config) for name in BASELINES}


def timed(protocols: Path, config: Config | Mapping[str, Config]) -> tuple[dict[str, dict[str, Any]], float]:
    """Results and seconds."""
    began = time.perf_counter()
    results = run_panel(protocols, config)
    return results, time.perf_counter() - began


def section(configs: Mapping[str, Config] | None = None) -> str:
    """Run and describe: Markdown."""
    folder = corpora()
    if folder is None:
        return "No corpora here."
    protocols = folder / "protocols"
    config = configs or {"default": Config()}
    first = next(iter(config.values()))
    other = {"other": dataclasses.replace(first, training=dataclasses.replace(first.training, relevance_factor=8.0))}
    with tempfile.TemporaryDirectory() as cache, _cache(Path(cache)):
        # libraries are loaded and threads are there: what is timed is the work
        speakerid.evaluate(HERE.parent / "data" / "sample" / "protocol.csv", cache=False)
        results, cold = timed(protocols, config)
        _again, warm = timed(protocols, config)
        _others, another = timed(protocols, other)
    audio = sum(r["timings"]["audio"] for r in results.values())
    times = (
        f"All protocols ({audio / 60:.0f} minutes of audio), one process, two threads: {cold:.1f} s with an empty cache, "
        f"{warm:.1f} s again ({cold / warm:.1f} ×), {another:.1f} s with another relevance factor, features from the cache "
        f"({cold / another:.1f} ×)."
    )
    return f"{_tables(results)}\n\n{recipes()}\n\n{times}\n\n{many_trials()}"


def many_trials() -> str:
    """Ask 10,000 recordings of 200 speakers: seconds, with an empty and with a warm cache of features."""
    folder = corpora()
    if folder is None:
        return "No corpora here."
    found = sorted((folder / "librispeech-251").rglob("*.flac"))
    files = [path for path in found if soundfile.info(path).duration >= 9.5][:200]
    with tempfile.TemporaryDirectory() as temporary, _cache(Path(temporary) / "cache"):
        protocol = Path(temporary) / "many.csv"
        with protocol.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["path", "speaker", "split", "start", "end"])
            for path in files:
                rows.writerow([path, path.parent.name, "enroll", 0, 6])
                last = soundfile.info(path).duration - 3.0
                starts = (6 + (last - 6) * i / 49 for i in range(50))
                rows.writerows([path, path.parent.name, "test", f"{t:.3f}", f"{t + 3:.3f}"] for t in starts)
        seconds = []
        for config in (
            Config(),
            Config(training=TrainingConfig(relevance_factor=5.0)),
        ):  # other models: nothing is scored yet
            began = time.perf_counter()
            result = speakerid.evaluate(protocol, config=config)
            seconds.append((time.perf_counter() - began, result["timings"]["asking"]))
    (cold, _), (warm, asking) = seconds
    return (
        f"{result['n_tests']:,} stretches of 3 s asked of {result['n_speakers']} speakers ({result['n_tests'] * 200:,} "
        f"trials), two threads: {cold:.0f} s from the audio; {warm:.0f} s with features in the cache, of which "
        f"{asking:.0f} s scoring."
    )


def recipes() -> str:
    """Top-1 and verification EER of the recipes in configs/, the classical one with a world model of 256 components."""
    folder = corpora()
    if folder is None:
        return "No corpora here."
    protocols, configs = folder / "protocols", HERE.parent / "configs"
    with tempfile.TemporaryDirectory() as temporary, _cache(Path(temporary) / "cache"):
        classical = load_config(configs / "reynolds2000.toml")
        world = Path(temporary) / "world.gmm"
        found = gather_for_world([str(protocols / "world.csv")])
        train_world(found.recordings, classical, output=world, components=256, licence="CC BY 4.0, Apache-2.0")
        systems = {
            name: load_config(configs / f"{name}.toml")
            for name in ("default", "maximum_likelihood", "fast", "reynolds1995", "telephone")
        }
        systems["reynolds2000"] = dataclasses.replace(classical, world=WorldConfig(file=str(world)))
        results = run_panel(protocols, systems)
    lines = [f"| protocol | {' | '.join(systems)} |", "|---" * (len(systems) + 1) + "|"]
    for name, result in results.items():
        cells = [
            f"{_percent(system['top1'])} / {_percent(system['verification']['eer'])}"
            for system in (result, *result["other_systems"])
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    told = "Top-1 / verification EER in %, of the recipes in `configs/`; `reynolds2000` with a world model of 256 components"
    told += ", trained on the shared `world.csv`, which has 89 of the 180 speakers of `librispeech-251-2s`"
    return f"{told}.\n\n" + "\n".join(lines)


@contextlib.contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """Let the program keep its cache there."""
    before = os.environ.get("SPEAKERID_CACHE")
    os.environ["SPEAKERID_CACHE"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("SPEAKERID_CACHE")
        if before is not None:
            os.environ["SPEAKERID_CACHE"] = before


def _tables(results: Mapping[str, dict[str, Any]]) -> str:
    head = (
        "| protocol | system | top-1 % | 95 % | verification EER % | 95 % | strangers: EER % | DIR % at 1 % | no answer | "
        "ML 16 | world + MAP | Resemblyzer |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    lines = [head]
    for name, result in results.items():
        for number, system in enumerate([result, *result["other_systems"]]):
            strangers, trials = system["open_set"], system["verification"]
            cells = [
                f"`{name}`" if number == 0 else "",
                system["system"],
                _percent(system["top1"]),
                _ends(system["top1_ci95"]),
                _percent(trials and trials["eer"]),
                _ends(trials and trials["eer_ci95"]),
                _with_ends(strangers, "eer"),
                _with_ends(strangers, "dir_at_far_1pct"),
                f"{sum(system['undecided'].values())} of {system['n_tests']}",
                *(BASELINES[name] if number == 0 else ("", "", "")),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _ends(ends: list[float] | None) -> str:
    return "-" if ends is None else "-".join(f"{100 * end:.1f}" for end in ends)


def _with_ends(figures: dict[str, Any] | None, key: str) -> str:
    return "-" if figures is None else f"{_percent(figures[key])} ({_ends(figures[key + '_ci95'])})"


def main() -> None:
    """Write the part of the page between the marks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", action="append", default=[])
    paths = parser.parse_args().config
    text = section({Path(path).stem: load_config(path) for path in paths} or None)
    print(text)
    if paths:
        return  # a look at other settings does not change the page
    page = HERE / "README.md"
    old = page.read_text(encoding="utf-8")
    if BEGIN not in old:
        sys.exit(f"{page}: no mark {BEGIN}; run make benchmark")
    new = re.sub(f"{BEGIN}.*{END}", lambda _match: f"{BEGIN}\n{text}\n{END}", old, flags=re.DOTALL)
    page.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
