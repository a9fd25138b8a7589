"""Make what comes with the program in speakerid/models: world models and the calibration.

    python data/make_models.py            (make models)

It needs the shared corpora (SPEAKERID_CORPORA). The world models are learned from ``protocols/world.csv`` alone, each
recording also as a telephone passes it, so that ratios mean something for recordings of 8 kHz too; that of the full band is
two, joined: one has heard telephones, the other rooms. The calibration is
fitted to recordings that protocols enrol, never to those they ask, and to the LibriSpeech speakers of the world list, of
whom each half is scored against a world model that was learned without it. ``--leave-out CORPUS`` fits it without one of
them and writes it elsewhere, to see how it does on what it has not seen (see docs/strangers.md).
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speakerid.audio import Recording
from speakerid.config import Config, FrontEndConfig, load_config
from speakerid.errors import RecordingError
from speakerid.frontend import finish
from speakerid.scoring import CalibrationData, fit_calibration
from speakerid.store import World, read_world
from speakerid.workflows.analysis import analyse_for_training
from speakerid.workflows.cache import FeatureCache
from speakerid.workflows.calibrate import hold_out, questions
from speakerid.workflows.world import join_worlds, train_world

HERE = Path(__file__).parents[1]
MODELS = HERE / "speakerid" / "models"
COMPONENTS, ITERATIONS, SEED = 512, 20, 0
LICENCE = (
    "LibriSpeech train-clean-100 (V. Panayotov, G. Chen, D. Povey and S. Khudanpur, 2015), CC BY 4.0, 125 speakers; "
    "Picovoice speech-to-intent-benchmark, Apache-2.0, 207 spoken commands"
)
#: Settings, and the conditions in which the parts of a world model heard its recordings beside how they are.
WORLDS = {
    "wide.gmm": ("configs/default.toml", (("band:0-4000", "telephone"), ("band:0-4000", "room"))),
    "telephone.gmm": ("configs/telephone.toml", (("telephone",),)),
}
#: Protocols whose enrolled recordings the calibration is fitted to.
PROTOCOLS = ("arabic-commands-other-words", "dspspeech-other-words", "fsdd-digits", "librispeech-10-open")


def corpora() -> Path:
    folder = Path(os.environ.get("SPEAKERID_CORPORA", HERE.parent / "shared" / "corpora"))
    if not (folder / "protocols").is_dir():
        sys.exit(f"{folder}: no corpora there; set SPEAKERID_CORPORA to where they are")
    return folder


def rows(protocol: str) -> Iterator[dict[str, str]]:
    with (corpora() / "protocols" / f"{protocol}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def world_recordings() -> list[Recording]:
    folder = corpora() / "protocols"
    return [Recording(str(folder / row["path"])) for row in rows("world")]


def make_worlds() -> None:
    MODELS.mkdir(exist_ok=True)
    for name, (config, _parts) in WORLDS.items():
        world = make_world(world_recordings(), load_config(HERE / config), name, MODELS / name)
        print(f"{name}: {world.about['speech_seconds'] / 60:.1f} minutes")


def make_world(recordings: list[Recording], config: Config, name: str, output: Path) -> World:
    """Train the parts of a world model, and join them if there are several."""
    parts = WORLDS[name][1]
    with tempfile.TemporaryDirectory() as folder:
        paths = [output] if len(parts) == 1 else [Path(folder) / f"{number}.gmm" for number in range(len(parts))]
        for path, degradations in zip(paths, parts, strict=True):
            train_world(
                recordings, config, output=path, components=COMPONENTS, iterations=ITERATIONS, licence=LICENCE,
                degradations=degradations, work_folder=Path(folder) / "work",
            )  # fmt: skip
        if len(paths) > 1:
            join_worlds(paths, output=output)
    return read_world(output)


def frames_of(recording: Recording, front_end: FrontEndConfig, cache: FeatureCache) -> np.ndarray | None:
    result = analyse_for_training(recording, front_end, channel=None, minimum_seconds=0.1, analyse=cache.analyse)
    if isinstance(result, RecordingError):
        return None
    return finish(result.static, front_end).speech_values


def held_out(
    speakers: dict[str, list[Recording]], config: Config, world: World, cache: FeatureCache, seed: int
) -> CalibrationData:
    usable = {}
    for name, recordings in speakers.items():
        found = [frames_of(recording, config.front_end, cache) for recording in recordings]
        usable[name] = [frames for frames in found if frames is not None]
    return questions(hold_out({k: v for k, v in usable.items() if v}, config.training, world), seed=seed)


def enrolled(protocol: str) -> dict[str, list[Recording]]:
    speakers: dict[str, list[Recording]] = {}
    for row in rows(protocol):
        if row["split"] != "enroll":
            continue
        start, end = (float(row[key]) if row.get(key) else None for key in ("start", "end"))
        recording = Recording(str(corpora() / "protocols" / row["path"]), start=start, end=end)
        speakers.setdefault(row["speaker"], []).append(recording)
    return speakers


@functools.cache
def halves(config: Config) -> tuple[CalibrationData, ...]:
    """Half of the world's LibriSpeech speakers each, scored against a world of the other half."""
    with FeatureCache.from_environment() as cache:
        return tuple(_halves(cache, config))


def _halves(cache: FeatureCache, config: Config) -> Iterator[CalibrationData]:
    recordings = world_recordings()
    read = [r for r in recordings if "librispeech" in r.path]
    names = sorted({Path(r.path).parent.name for r in read})
    for half in range(2):
        asked = set(names[half::2])
        mine = [r for r in read if Path(r.path).parent.name in asked]
        others = [r for r in recordings if r not in mine]
        with tempfile.TemporaryDirectory() as folder:
            world = make_world(others, config, "wide.gmm", Path(folder) / "half.gmm")
        speakers: dict[str, list[Recording]] = {}
        for recording in mine:
            speakers.setdefault(Path(recording.path).parent.name, []).append(recording)
        yield held_out(speakers, config, world, cache, SEED + half)


def make_calibration(output: Path, *, leave_out: str | None = None) -> None:
    config = load_config(HERE / "configs" / "default.toml")
    world: World = read_world(MODELS / "wide.gmm")
    data = []
    with FeatureCache.from_environment() as cache:
        chosen = [protocol for protocol in PROTOCOLS if leave_out is None or leave_out not in protocol]
        data.extend(held_out(enrolled(protocol), config, world, cache, SEED) for protocol in chosen)
        if leave_out != "librispeech-251":
            data.extend(halves(config))
    about = {
        "fitted_to": ", ".join(p for p in PROTOCOLS if leave_out is None or leave_out not in p)
        + " (what they enrol)"
        + ("" if leave_out == "librispeech-251" else ", LibriSpeech speakers of the world list"),
        "recordings": sum(each.n_recordings for each in data),
        "seed": SEED,
    }
    calibration = fit_calibration(data, about=about)
    output.write_text(json.dumps(calibration.to_dict(), indent=1) + "\n", encoding="utf-8")
    print(f"{output.name}: {about['recordings']} recordings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration-only", action="store_true", help="keep the world models that are there")
    parser.add_argument("--leave-out", metavar="CORPUS", help="fit the calibration without this corpus")
    parser.add_argument("--output", type=Path, default=MODELS / "calibration.json", help="of the calibration")
    arguments = parser.parse_args()
    if not arguments.calibration_only and arguments.leave_out is None:
        make_worlds()
    make_calibration(arguments.output, leave_out=arguments.leave_out)


if __name__ == "__main__":
    main()
