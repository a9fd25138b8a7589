"""Strangers, calibration and damaged recordings on the shared protocols. Writes its tables into docs/strangers.md.

``python -m benchmarks.strangers [PART ...]`` (`make strangers`); parts: training, strangers, calibration, normalisation,
damage, speed. All figures come from `speakerid.evaluate` and its pieces; nothing is chosen by them.
"""

from __future__ import annotations

import csv
import functools
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import speakerid
from benchmarks.panel import corpora
from speakerid.audio import Recording
from speakerid.config import Config, TrainingConfig, load_config
from speakerid.evaluation import OpenSetTrials
from speakerid.frontend import finish
from speakerid.scoring import AdaptedStack, MixtureStack
from speakerid.scoring.calibration import Calibration
from speakerid.scoring.normalisation import adaptive_s_norm, s_norm, t_norm, z_norm
from speakerid.workflows.analysis import analyse_for_training
from speakerid.workflows.cache import FeatureCache
from speakerid.workflows.evaluate import System, evaluate_system
from speakerid.workflows.learning import learn_each
from speakerid.workflows.protocols import read_protocol
from speakerid.workflows.results import document
from speakerid.workflows.shipped import shipped_world

HERE = Path(__file__).parents[1]
PAGE = HERE / "docs" / "strangers.md"
PROTOCOLS = (
    "librispeech-10-open", "librispeech-251-2s", "librispeech-3-cross-chapter", "arabic-commands-other-words",
    "dspspeech-other-words", "fsdd-digits",
)  # fmt: skip
#: Protocols without strangers of their own: every speaker is one in turn.
IN_TURN = ("arabic-commands-other-words", "dspspeech-other-words", "fsdd-digits")
#: What the calibration must not have been fitted to, for a protocol to be new to it.
OWN_CORPUS = {
    "librispeech-10-open": "librispeech-10-open", "librispeech-251-2s": "librispeech-251",
    "arabic-commands-other-words": "arabic-commands", "dspspeech-other-words": "dspspeech", "fsdd-digits": "fsdd",
}  # fmt: skip
RATES = (0.01, 0.02, 0.05)


def protocols() -> Path:
    folder = corpora()
    if folder is None:
        sys.exit("no corpora: set SPEAKERID_CORPORA to where they are")
    return folder / "protocols"


def percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f}"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ask(name: str, **options: Any) -> dict[str, Any]:
    return speakerid.evaluate(protocols() / f"{name}.csv", leave_one_speaker_out=name in IN_TURN, **options)


def training() -> str:
    """Maximum likelihood against adaptation, and what is adapted."""
    map_of = functools.partial(TrainingConfig, method="map")
    systems = {
        "EM, 16 components": Config(training=TrainingConfig(method="ml")),
        "EM, 32 components": Config(training=TrainingConfig(method="ml", components=32)),
        "MAP, r = 2": Config(training=map_of(relevance_factor=2.0)),
        "**MAP, r = 4 (default)**": Config(),
        "MAP, r = 16": Config(training=map_of(relevance_factor=16.0)),
        "MAP, r = 4, variances too": Config(training=map_of(adapted="means_variances")),
        "MAP, r = 4, telephone.toml": load_config(HERE / "configs" / "telephone.toml"),
    }
    found = {name: ask(name, config=systems) for name in PROTOCOLS}
    rows = []
    for number, label in enumerate(systems):
        row = [label]
        for name in PROTOCOLS:
            result = [found[name], *found[name]["other_systems"]][number]
            strangers = (result["open_set"] or {}).get("eer")
            row.append(percent(result["top1"]) + ("" if strangers is None else f" / {percent(strangers)}"))
        rows.append(row)
    return table(["training", *(f"`{name}`" for name in PROTOCOLS)], rows)


def strangers() -> str:
    """What the default and other operating points do."""
    rows = []
    for name in PROTOCOLS:
        for rate in RATES:
            result = ask(name, false_accept_rate=rate)
            open_set = result["open_set"]
            if open_set is None:
                continue
            named, refused = open_set["strangers_named"], result["known_refused"]
            rows.append(
                [
                    f"`{name}`" if rate == RATES[0] else "", percent(rate, 0),
                    f"{percent(named)} ({interval(open_set['strangers_named_ci95'])})",
                    f"{percent(refused)} ({interval(result['known_refused_ci95'])})",
                    percent(result["known_misnamed"]),
                    percent(open_set["eer"]) if rate == RATES[0] else "",
                    str(result["n_strangers"]) if rate == RATES[0] else "",
                ]
            )  # fmt: skip
    heading = ["protocol", "asked for %", "strangers named %", "enrolled refused %", "misnamed %", "EER %", "strangers"]
    return table(heading, rows)


def interval(pair: Sequence[float]) -> str:
    return f"{100 * pair[0]:.1f}-{100 * pair[1]:.1f}"


def calibration() -> str:
    """Cllr and its minimum: with the calibration as it ships, and with one that never saw the corpus."""
    sys.path.insert(0, str(HERE / "data"))
    import make_models

    rows = []
    reliability: list[tuple[np.ndarray, np.ndarray]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in PROTOCOLS:
            row = [f"`{name}`"]
            corpus = OWN_CORPUS.get(name)
            unseen = None
            if corpus is not None:
                path = Path(folder) / "calibration.json"
                make_models.make_calibration(path, leave_out=corpus)
                unseen = Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
            for own in (None, unseen):
                result, outcome = evaluated(name, own)
                row += [
                    f"{result['cllr']:.3f}",
                    f"{result['min_cllr']:.3f}",
                    f"{result['cllr'] - result['min_cllr']:.3f}",
                ]
                if own is unseen:
                    reliability.append((outcome.ratios.scores, outcome.ratios.is_target))
            rows.append(row)
    draw_reliability(reliability)
    heading = ["protocol", "Cllr", "minimum", "difference", "Cllr, corpus not seen", "minimum", "difference"]
    return table(heading, rows) + "\n\n![Reliability diagram](reliability.svg)"


def evaluated(name: str, own: Calibration | None) -> tuple[dict[str, Any], Any]:
    protocol = read_protocol(str(protocols() / f"{name}.csv"), content_hashes=None)
    with FeatureCache.from_environment() as cache:
        result = evaluate_system(protocol, System("default", Config(), own_calibration=own), cache)
    return document(protocol, [result], seed=0)["verification"], result.outcome


def draw_reliability(groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Of all claims that got about this ratio, how many are true, if every second one is? Every protocol weighs the same."""
    from matplotlib.figure import Figure

    edges = np.array([-np.inf, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, np.inf])
    targets, others, centres = (np.zeros(len(edges) - 1) for _ in range(3))
    mass = np.zeros(len(edges) - 1)
    for scores, is_target in groups:
        for side, sums in ((is_target, targets), (~is_target, others)):
            weight = 1.0 / side.sum()
            places = np.digitize(scores[side], edges) - 1
            np.add.at(sums, places, weight)
            np.add.at(centres, places, weight / (1 + np.exp(-scores[side])))
            np.add.at(mass, places, weight)
    share = targets / np.maximum(targets + others, 1e-12)
    figure = Figure(figsize=(4.2, 4.2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="calibrated")
    axes.plot(centres / np.maximum(mass, 1e-12), share, "o-", color="#1f5fa8", label="speakerid, corpora not seen")
    axes.set_xlabel("probability that was said")
    axes.set_ylabel("share of claims that are true")
    axes.legend(frameon=False, loc="upper left")
    figure.tight_layout()
    figure.savefig(HERE / "docs" / "reliability.svg", metadata={"Date": None})


def normalisation() -> str:
    """Score normalisation with 125 LibriSpeech speakers as the cohort, against margins and calibrated ratios."""
    config = Config()
    world = shipped_world(config.front_end)
    assert world is not None
    rows = []
    with FeatureCache.from_environment() as cache:
        read = functools.partial(frames_of, config=config, cache=cache)
        cohort: dict[str, list[np.ndarray]] = {}
        for recording in world_speakers():
            cohort.setdefault(Path(recording.path).parent.name, []).append(read(recording))
        stack = AdaptedStack(world.mixture, [r[0] for r in learn_each(list(cohort.values()), config.training, world)])
        for name in ("librispeech-10-open", *IN_TURN):
            errors = normalised(name, stack, cohort, config, cache, read)
            rows.append([f"`{name}`", *errors])
    heading = ["protocol", "ratio", "Z", "T", "S", "adaptive S", "margin", "calibrated"]
    return table(heading, rows)


def frames_of(recording: Recording, *, config: Config, cache: FeatureCache) -> np.ndarray:
    found = analyse_for_training(recording, config.front_end, channel=None, minimum_seconds=0.1, analyse=cache.analyse)
    assert not isinstance(found, Exception), found
    return finish(found.static, config.front_end).speech_values


def world_recordings() -> list[Recording]:
    with (protocols() / "world.csv").open(encoding="utf-8", newline="") as file:
        return [Recording(str(protocols() / row["path"])) for row in csv.DictReader(file)]


def world_speakers() -> list[Recording]:
    return [recording for recording in world_recordings() if "librispeech" in recording.path]


def normalised(
    name: str, stack: AdaptedStack, cohort: dict[str, list[np.ndarray]], config: Config, cache: FeatureCache,
    read: Callable[[Recording], np.ndarray],
) -> list[str]:  # fmt: skip
    protocol = read_protocol(
        str(protocols() / f"{name}.csv"), content_hashes=None, leave_one_speaker_out=name in IN_TURN
    )
    result = evaluate_system(protocol, System("default", config), cache)
    outcome = result.outcome
    world = shipped_world(config.front_end)
    assert world is not None
    speakers: dict[str, list[np.ndarray]] = {}
    for recording in protocol.rounds[0].enroll:
        try:
            speakers.setdefault(recording.speaker or "", []).append(read(recording))
        except AssertionError:
            continue
    enrolled = [name for name in protocol.models if name in speakers]
    models = AdaptedStack(
        world.mixture, [r[0] for r in learn_each([speakers[n] for n in enrolled], config.training, world)]
    )
    of_models = np.array([models.mean_ratios(np.concatenate(each)[:300])[0] for each in cohort.values()])
    ratios, of_cohort, judged = [], [], []
    for i, recording in enumerate(protocol.rounds[0].tests):
        try:
            frames = read(recording)
        except AssertionError:
            continue
        judged.append(i)
        ratios.append(models.mean_ratios(frames)[0])
        of_cohort.append(stack.mean_ratios(frames)[0])
    scores, cohort_scores = np.array(ratios), np.array(of_cohort)
    columns = {n: i for i, n in enumerate(enrolled)}
    truth = np.array([columns.get(protocol.rounds[0].tests[i].speaker or "", -1) for i in judged])

    def error_rate(values: np.ndarray, *, margin: bool = False) -> str:
        known = np.flatnonzero(truth >= 0)
        if name in IN_TURN:
            others = values[known].copy()
            others[np.arange(len(known)), truth[known]] = -np.inf
        else:
            others = values[truth < 0]

        def best(x: np.ndarray) -> np.ndarray:
            ordered = np.sort(x, axis=1)
            return ordered[:, -1] - (ordered[:, -2] if margin else 0.0)

        right = values[known].argmax(axis=1) == truth[known]
        return percent(OpenSetTrials(best(values[known]), right, best(others)).curve().equal_error_rate)

    return [
        error_rate(scores), error_rate(z_norm(scores, of_models)), error_rate(t_norm(scores, cohort_scores)),
        error_rate(s_norm(scores, of_models, cohort_scores)),
        error_rate(adaptive_s_norm(scores, of_models, cohort_scores)), error_rate(scores, margin=True),
        percent(
            OpenSetTrials(
                outcome.acceptance[outcome.known], outcome.ranks == 1, outcome.acceptance[outcome.strangers]
            ).curve().equal_error_rate
        ),
    ]  # fmt: skip


def damage() -> str:
    """Every protocol under every degradation."""
    noise = protocols().parent / "noise"
    conditions = {
        "gain ±12 dB": "gain:12", "noise 20 dB": f"noise:20:{noise}", "noise 10 dB": f"noise:10:{noise}",
        "MP3, 64 kbit/s": "codec:mp3:64", "Opus, 24 kbit/s": "codec:opus:24", "telephone": "telephone",
        "reverberation": "reverb",
    }  # fmt: skip
    found = {name: ask(name, degrade=list(conditions.values())) for name in PROTOCOLS}
    rows = []
    for number, label in enumerate(["clean", *conditions]):
        results = [[found[name], *found[name]["other_systems"]][number] for name in PROTOCOLS]
        for what, part, key in (
            ("top-1", None, "top1"), ("misnamed", None, "known_misnamed"), ("no name", None, "known_refused"),
            ("strangers' EER", "open_set", "eer"), ("strangers named", "open_set", "strangers_named"),
        ):  # fmt: skip
            values = [(result if part is None else result[part] or {}).get(key) for result in results]
            there = [value for value in values if value is not None]
            row = [label if key == "top1" else "", what, *map(percent, values), percent(float(np.mean(there)))]
            rows.append(row)
    return table(["condition", "%", *(f"`{name}`" for name in PROTOCOLS), "mean"], rows)


def speed() -> str:
    """Top components against all of them, interleaved: 100 speakers adapted from 512 Gaussians."""
    world = shipped_world(Config().front_end)
    assert world is not None
    with FeatureCache.from_environment() as cache:
        recordings = [frames_of(r, config=Config(), cache=cache) for r in world_speakers()]
    adapted = learn_each([[frames] for frames in recordings[:100]], Config().training, world)
    speakers = [result[0] for result in adapted if isinstance(result, tuple)]
    top = AdaptedStack(world.mixture, speakers, top=10)
    stack = MixtureStack([*speakers, world.mixture])
    frames = np.concatenate(recordings[100:])
    rows = []
    for label, n in (("30 s", 3000), ("2 s", 200)):
        X = frames[:n]
        fast, slow = [], []
        for _ in range(7):
            began = time.perf_counter()
            ratios, _world = top.mean_ratios(X)
            middle = time.perf_counter()
            everything = stack.mean_log_likelihoods(X)
            fast.append(middle - began)
            slow.append(time.perf_counter() - middle)
        error = np.abs(ratios - (everything[:-1] - everything[-1]))
        rows.append(
            [label, f"{1e3 * np.median(slow):.0f} ms", f"{1e3 * np.median(fast):.1f} ms",
             f"{np.median(slow) / np.median(fast):.1f} ×", f"{error.mean():.4f}, {error.max():.4f}"]
        )  # fmt: skip
    return table(["recording", "all components", "top 10", "", "error, nats a frame: mean, largest"], rows)


PARTS: dict[str, Callable[[], str]] = {
    "training": training, "strangers": strangers, "calibration": calibration, "normalisation": normalisation,
    "damage": damage, "speed": speed,
}  # fmt: skip


def write_part(path: Path, part: str, text: str) -> None:
    """Put a table in its place in a page."""
    page = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    page, n = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _m: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL
    )
    assert n == 1, part
    path.write_text(page, encoding="utf-8")


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    for part in chosen:
        text = PARTS[part]()
        print(text, flush=True)
        write_part(PAGE, part, text)


if __name__ == "__main__":
    os.environ.setdefault("SPEAKERID_CACHE_LIMIT", "8GB")
    main()
