"""Damaged recordings: what the default settings bring, and how they were chosen. Writes its tables into docs/robustness.md.

``python -m benchmarks.robustness [PART ...]`` (`make robustness`); parts: development, confirmation, protocols. All figures
come from `speakerid.evaluate`. *Development* asks recordings that the protocols enrol, of each speaker a quarter in
turn, in generated noise and in simulated rooms; settings were chosen by it. *Confirmation* asks what the protocols ask, in
recorded noise and in decaying noise, which neither training nor development heard.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import speakerid
from benchmarks.strangers import IN_TURN, interval, percent, protocols, table, world_recordings, write_part
from speakerid.config import Config, FrontEndConfig, WorldConfig
from speakerid.mixtures import GaussianMixture
from speakerid.store import World, write_world
from speakerid.workflows.shipped import shipped_world
from speakerid.workflows.world import train_world

PAGE = Path(__file__).parents[1] / "docs" / "robustness.md"
PROTOCOLS = (
    "librispeech-10-open", "librispeech-251-2s", "arabic-commands-other-words", "dspspeech-other-words", "fsdd-digits",
)  # fmt: skip
#: A quarter of each speaker's enrolment is asked; one recording a speaker cannot be shared out.
SHARED_OUT = tuple(name for name in PROTOCOLS if name != "librispeech-251-2s")
IN_DEVELOPMENT = {
    "noise 20 dB": "noise:20", "noise 10 dB": "noise:10", "telephone": "telephone", "reverberation": "room",
}  # fmt: skip
PLAIN = FrontEndConfig(deltas=2, c0="mean_removed", level_range_db=0.0, log_floor=1e-6)

_TURNS = 4

Results = dict[tuple[str, str], dict[str, Any]]


def in_confirmation() -> dict[str, str]:
    noise = protocols().parent / "noise"
    return {
        "noise 20 dB": f"noise:20:{noise}", "noise 10 dB": f"noise:10:{noise}", "telephone": "telephone",
        "reverberation": "reverb", "to 4 kHz": "band:0-4000", "gain ±12 dB": "gain:12",
    }  # fmt: skip


def systems(folder: Path) -> Iterator[tuple[str, Config]]:
    """The settings that are compared, with world models in `folder`."""
    world = shipped_world(Config().front_end)
    assert world is not None
    ends = np.cumsum([0, *(part.components for part in world.parts)])
    for number, name in enumerate(("quiet", "rooms")):
        write_world(folder / f"{name}.gmm", only(world, slice(ends[number], ends[number + 1])))
    train_world(world_recordings(), Config(front_end=PLAIN), output=folder / "plain.gmm", components=256)
    yield (
        "plain: a world of 256, Δ and ΔΔ, mean-free c0",
        with_world(Config(front_end=PLAIN), folder / "plain.gmm", compensation="none"),
    )
    yield "quiet part alone", with_world(Config(), folder / "quiet.gmm", compensation="none")
    yield "both parts", Config(world=WorldConfig(compensation="none"))
    yield "quiet part, compensated", with_world(Config(), folder / "quiet.gmm")
    yield "rooms part, compensated", with_world(Config(), folder / "rooms.gmm")
    yield "**both parts, compensated (default)**", Config()


def with_world(config: Config, path: Path, **options: Any) -> Config:
    return replace(config, world=replace(config.world, file=str(path), **options))


def only(world: World, part: slice) -> World:
    mixture = world.mixture
    weights = mixture.weights[part] / mixture.weights[part].sum()
    return World(GaussianMixture(weights, mixture.means[part], mixture.covariances[part]), world.front_end)


def held_back(name: str, folder: Path, turn: int) -> Path:
    """A protocol of the recordings that one enrols: of each speaker a quarter is asked, another one in each turn."""
    with (protocols() / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "enroll"]
    counts: dict[str, int] = {}
    path = folder / f"{name}-{turn}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            number = counts[row["speaker"]] = counts.get(row["speaker"], -1) + 1
            split = "test" if number % _TURNS == turn else "enroll"
            writer.writerow(row | {"path": protocols() / row["path"], "split": split})
    return path


def ask(
    data: Mapping[str, Path], conditions: Mapping[str, str], config: Config, in_turn: Sequence[str] = ()
) -> Results:
    found = {}
    for name, path in data.items():
        result = speakerid.evaluate(
            path, config=config, degrade=list(conditions.values()), leave_one_speaker_out=name in in_turn
        )
        for condition, each in zip(("clean", *conditions), (result, *result["other_systems"]), strict=True):
            found[name, condition] = each
    return found


def mean(found: Results, condition: str, part: str | None, key: str) -> str:
    results = [each if part is None else each[part] or {} for (_n, c), each in found.items() if c == condition]
    values = [each[key] for each in results if each.get(key) is not None]
    return percent(float(np.mean(values))) if values else "-"


def compared(data: Mapping[str, Path], conditions: Mapping[str, str], chosen: Sequence[int] = ()) -> str:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (label, config) in enumerate(systems(Path(folder))):
            if chosen and number not in chosen:
                continue
            in_turn = IN_TURN if chosen else ()
            found = ask(data, conditions, config, in_turn)
            cells = [
                [mean(found, c, None, "top1"), mean(found, c, "verification", "eer"), mean(found, c, "open_set", "eer")]
                for c in ("clean", *conditions)
            ]
            rows.append([label, *(" / ".join(cell if in_turn else cell[:2]) for cell in cells)])
            print(rows[-1], flush=True)
    return table(["settings", "clean", *conditions], rows)


def development() -> str:
    with tempfile.TemporaryDirectory() as folder:
        data = {f"{name} {turn}": held_back(name, Path(folder), turn) for name in SHARED_OUT for turn in range(_TURNS)}
        return compared(data, IN_DEVELOPMENT)


def confirmation() -> str:
    conditions = in_confirmation()
    return compared(as_they_are(), conditions, chosen=(0, 2, 5))


def as_they_are() -> dict[str, Path]:
    return {name: protocols() / f"{name}.csv" for name in PROTOCOLS}


def by_protocol() -> str:
    """The default settings on every protocol."""
    conditions = in_confirmation()
    found = ask(as_they_are(), conditions, Config())
    rows = []
    for name in PROTOCOLS:
        results = [found[name, condition] for condition in ("clean", *conditions)]
        rows.append([f"`{name}`", *(f"{percent(r['top1'])} ({interval(r['top1_ci95'])})" for r in results)])
    return table(["protocol", "clean", *conditions], rows)


PARTS: dict[str, Callable[[], str]] = {
    "development": development, "confirmation": confirmation, "protocols": by_protocol,
}  # fmt: skip


def main() -> None:
    for part in sys.argv[1:] or list(PARTS):
        write_part(PAGE, part, PARTS[part]())


if __name__ == "__main__":
    os.environ.setdefault("SPEAKERID_CACHE_LIMIT", "8GB")
    main()
