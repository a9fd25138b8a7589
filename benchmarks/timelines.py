"""Who speaks when, on real speech: conversations put together from read speech, meetings, and what hours cost.

``python -m benchmarks.timelines [PART ...]`` (`make timelines`); parts: conversations, meetings, timelines-cost. Writes its
tables into docs/timelines.md and benchmarks/README.md. The settings were chosen on other speakers.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

import speakerid
from benchmarks.panel import corpora
from benchmarks.strangers import write_part
from benchmarks.timing import interleaved_medians
from speakerid.audio import load_samples
from speakerid.audio.rttm import read_rttm
from speakerid.evaluation.timelines import TimelineErrors, boundary_errors, in_pieces, interval, score_timeline
from speakerid.scoring.gains import Gains
from speakerid.workflows.identify import Identifier
from speakerid.workflows.timeline import Segment

HERE = Path(__file__).parents[1]
PAGE, COST_PAGE = HERE / "docs" / "timelines.md", HERE / "benchmarks" / "README.md"
RATE = 16000
PAUSE_SECONDS, TURN_SECONDS, STRANGERS = 0.5, (2.0, 6.0), 0.25
FIRST_SEED, N_CONVERSATIONS, N_TURNS = 7000, 12, 60
MEETINGS = (("dev00", "dev01"), ("trn07", "trn08"), ("tst00", "tst01"))

Turns = list[tuple[str, float, float]]


@dataclasses.dataclass(frozen=True)
class Conversation:
    """Samples, who speaks when, and which frames of 10 ms of the turns are speech."""

    samples: np.ndarray
    turns: Turns
    speech: np.ndarray


def speaking(samples: np.ndarray) -> np.ndarray:
    """Frames of 10 ms that are loud for their recording: nothing of the program's own, so that it can be wrong."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160].astype(np.float64)
    level = 10 * np.log10(np.mean(windows**2, axis=1) + 1e-12)
    quiet, loud = np.percentile(level, (10, 95))
    active = level > max(quiet + 0.35 * (loud - quiet), loud - 35)
    return np.asarray(np.convolve(active, np.ones(9), "same") >= 5)


def conversation(
    voices: Mapping[str, Sequence[np.ndarray]],
    enrolled: Sequence[str],
    strangers: Sequence[str],
    seed: int,
    n_turns: int,
) -> Conversation:
    """Turns of 2-6 s of changing speakers, a quarter of them strangers, with pauses of half a second.

    A turn begins where somebody begins to speak, and ends with speech; pauses within it are its own.
    """
    rng = np.random.default_rng(seed)
    marked = {name: [(each, speaking(each)) for each in recordings] for name, recordings in voices.items()}
    parts, turns, speech, before = [], [], [], ""
    for _ in range(n_turns):
        name = before
        while name == before:
            pool = strangers if rng.random() < STRANGERS else enrolled
            name = pool[int(rng.integers(len(pool)))]
        before = name
        samples, active = marked[name][int(rng.integers(len(marked[name])))]
        length = int(rng.uniform(*TURN_SECONDS) * RATE)
        begins = np.flatnonzero(active & ~np.concatenate([[False], active[:-1]])) * 160
        begins = begins[begins + 2 * RATE <= len(samples)]
        begin = int(begins[int(rng.integers(len(begins)))])
        cut, on = samples[begin : begin + length], active[begin // 160 : (begin + length) // 160]
        last = int(np.flatnonzero(on)[-1]) + 1
        start = sum(map(len, parts)) / RATE
        turns.append((name if name in enrolled else "unknown", start, start + last * 160 / RATE))
        parts += [cut[: last * 160], np.zeros(round(PAUSE_SECONDS * RATE), dtype=np.float32)]
        speech += [on[:last], np.zeros(round(PAUSE_SECONDS * 100), dtype=np.bool_)]
    return Conversation(np.concatenate(parts), turns, np.concatenate(speech))


@dataclasses.dataclass(frozen=True)
class Found:
    """How a conversation was heard: by frames of 10 ms and by the exact times."""

    right: np.ndarray
    speech: np.ndarray
    errors: TimelineErrors
    pieces: list[TimelineErrors]
    boundaries: np.ndarray


def heard(made: Conversation, segments: Sequence[Segment], known: Sequence[str]) -> Found:
    n = len(made.speech)
    truth, answer = np.full(n, "", dtype=object), np.full(n, "", dtype=object)
    for labels, turns in ((truth, made.turns), (answer, [(s.label, s.start, s.end) for s in segments])):
        for label, start, end in turns:
            labels[round(start * 100) : round(end * 100)] = label
    found = [(segment.label, segment.start, segment.end) for segment in segments]
    whole: dict[str, Any] = {"known": known, "evaluated": [(0.0, len(made.samples) / RATE)]}
    return Found(
        truth == answer, made.speech, score_timeline(made.turns, found, **whole),
        in_pieces(made.turns, found, **whole), boundary_errors(made.turns, found),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Scores:
    """All conversations together; shares in 0..1."""

    speech_right: float
    speech_interval: tuple[float, float]
    turns_right: float
    boundary_median: float
    boundaries_within: float
    errors: TimelineErrors
    error_interval: tuple[float, float]
    seconds: float


def librispeech_10(folder: Path, where: Path) -> tuple[Identifier, dict[str, list[np.ndarray]], list[str], list[str]]:
    """The speakers of librispeech-10-open enrolled; the recordings that the protocol asks, by speaker."""
    protocol = folder / "protocols" / "librispeech-10-open.csv"
    with protocol.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    store = where / "librispeech-10.db"
    if not store.exists():
        speakerid.enroll(protocol, db=store)
    voices: dict[str, list[np.ndarray]] = {}
    for row in rows:
        if row["split"] == "test":
            path = (protocol.parent / row["path"]).resolve()
            name = row["speaker"] if row["speaker"] != "unknown" else f"stranger {path.parent.name}"
            samples = load_samples(path, sample_rate=RATE)
            if len(samples) > 6.5 * RATE:
                voices.setdefault(name, []).append(samples)
    identifier = Identifier.open(store)
    return identifier, voices, [*identifier.speakers], [name for name in voices if name not in identifier.speakers]


def concatenations(
    folder: Path,
    where: Path,
    *,
    n: int = N_CONVERSATIONS,
    turns: int = N_TURNS,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Scores:
    """Hear so many conversations of librispeech-10 at the default settings."""
    identifier, voices, enrolled, strangers = librispeech_10(folder, where)
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        made = conversation(voices, enrolled, strangers, seed, turns)
        samples = made.samples if change is None else change(made.samples)
        found.append(heard(made, identifier.timeline(samples, sample_rate=RATE).segments, enrolled))
    rng = np.random.default_rng(0)
    by_piece = [  # ten seconds each
        (np.sum(part.right[i : i + 1000] & part.speech[i : i + 1000]), np.sum(part.speech[i : i + 1000]))
        for part in found
        for i in range(0, len(part.right), 1000)
    ]
    right, total = np.array(by_piece, dtype=np.float64).T
    drawn = rng.integers(len(right), size=(2000, len(right)))
    shares = right[drawn].sum(axis=1) / total[drawn].sum(axis=1)
    errors = sum((part.errors for part in found), TimelineErrors())
    boundaries = np.concatenate([part.boundaries for part in found])
    pieces = [piece for part in found for piece in part.pieces]
    return Scores(
        float(right.sum() / total.sum()),
        (float(np.quantile(shares, 0.025)), float(np.quantile(shares, 0.975))),
        errors.correct / errors.total,
        float(np.median(boundaries)),
        float(np.mean(boundaries <= 0.3)),
        errors,
        interval(pieces, seed=0),
        sum(len(part.right) for part in found) / 100,
    )


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def between(interval_: tuple[float, float]) -> str:
    return f"{percent(interval_[0])}-{percent(interval_[1])}"


def conversations(folder: Path, where: Path) -> str:
    """The table of conversations, clean and as they come over worse channels."""
    from speakerid.audio import parse_degradation
    from speakerid.audio.degradations import degrade

    lines = [
        "| | speech right, % | 95 % interval | turns right, % | missed, % | false alarm, % | confused, % | boundaries: "
        "median, s | within 0.3 s, % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for text in (None, "noise:20", "noise:10", "reverb", "telephone"):
        change = None
        if text is not None:
            degradation = parse_degradation(text)

            def change(samples: np.ndarray, degradation: Any = degradation) -> np.ndarray:
                return degrade(samples, RATE, degradation, seed=1, key="conversation").astype(np.float32)

        scores = concatenations(folder, where, n=N_CONVERSATIONS if text is None else 4, change=change)
        errors = scores.errors
        median = f"{scores.boundary_median:.2f}" if scores.boundary_median < 2 else "above 2"
        lines.append(
            f"| {text or f'as they are, {scores.seconds / 60:.0f} min'} | {percent(scores.speech_right)} | "
            f"{between(scores.speech_interval)} | {percent(scores.turns_right)} | {percent(errors.missed / errors.total)} | "
            f"{percent(errors.false_alarm / errors.total)} | {percent(errors.confusion / errors.total)} | "
            f"{median} | {percent(scores.boundaries_within)} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


def meetings(folder: Path, where: Path) -> str:
    """Errors on the meetings, after each step."""
    audio = folder / "ami-timelines"
    truth = read_rttm(audio / "truth.rttm")
    store = where / "ami.db"
    if not store.exists():
        speakerid.enroll(folder / "protocols" / "ami-timelines.csv", db=store)
    identifier = Identifier.open(store)
    known = identifier.speakers
    steps: dict[str, TimelineErrors] = {}
    recordings: dict[str, TimelineErrors] = {}
    pieces: list[TimelineErrors] = []
    best, collar, floor = TimelineErrors(), TimelineErrors(), 0.0
    for _enrolled, asked in MEETINGS:
        reference = [(turn.label, turn.start, turn.end) for turn in truth[asked]]
        samples = load_samples(audio / f"{asked}.flac", sample_rate=RATE)
        whole: dict[str, Any] = {"known": known, "evaluated": [(0.0, len(samples) / RATE)]}
        for name, turns in after_each_step(identifier, samples).items():
            errors = score_timeline(reference, turns, **whole)
            steps[name] = steps.get(name, TimelineErrors()) + errors
        recordings[asked] = errors
        pieces += in_pieces(reference, turns, **whole)
        best += score_timeline(reference, turns, mapping="best", evaluated=whole["evaluated"])
        collar += score_timeline(reference, turns, collar=0.25, skip_overlap=True, **whole)
        somebody = [("somebody", start, end) for _label, start, end in reference]
        floor += score_timeline(reference, somebody, evaluated=whole["evaluated"]).missed
    final = next(reversed(steps.values()))
    lines = ["| | missed, % | false alarm, % | confused, % | identification error rate, % |", "|---|---|---|---|---|"]
    for name, errors in [*steps.items(), *((f"the last, {name}", each) for name, each in recordings.items())]:
        lines.append(
            f"| {name} | {percent(errors.missed / errors.total)} | {percent(errors.false_alarm / errors.total)} | "
            f"{percent(errors.confusion / errors.total)} | {percent(errors.rate)} |"
        )
    lines += [
        "",
        f"All three together: identification error rate {percent(final.rate)} % (95 % interval "
        f"{between(interval(pieces, seed=0))}; stretches of 10 s resampled), of which "
        f"{percent(final.errors_in_overlap / final.total)} points lie where several speak at once. "
        f"{percent(final.overlap / final.total)} % of the speaker seconds do: one right voice at every moment would leave "
        f"{percent(floor / final.total)} %. With a collar of 0.25 s and without overlaps: "
        f"{percent(collar.rate)} %. Diarization error rate (best mapping of names): {percent(best.rate)} %.",
    ]
    return "\n".join(lines)


def after_each_step(identifier: Identifier, samples: np.ndarray) -> dict[str, Turns]:
    """Turns by windows alone, then with each further step."""
    stream = identifier.timeline_stream()
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    path: Turns = []
    names = [*identifier.speakers, "unknown", ""]
    gains_of, judged = stream._gains, stream._judged

    @dataclasses.dataclass(frozen=True, eq=False)
    class Kept(Gains):
        def __call__(self, hops: Any, windows: Any) -> Any:
            kept.append((gains_of(hops, windows), hops.speech))
            return kept[-1][0]

    def keep(state: int | None, start: float, end: float, sums: Any) -> Any:
        if state is not None:
            path.append((names[state], start, end))
        return judged(state, start, end, sums)

    stream._gains = Kept(**{each.name: getattr(gains_of, each.name) for each in dataclasses.fields(gains_of)})
    stream._judged = keep  # type: ignore[method-assign]
    stream.push(samples)
    segments = stream.finish().segments
    gains, speech = (np.concatenate(each) for each in zip(*kept, strict=True))

    def turns(states: np.ndarray) -> Turns:
        edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
        found = [(names[states[a]], a * stream._hop, b * stream._hop) for a, b in itertools.pairwise(edges)]
        return [turn for turn in found if turn[0]]

    silence = len(names) - 1
    spoken = speech * 2 >= stream._hop_frames
    return {
        "speech frames, nearest speaker of each window": turns(np.where(spoken, gains[:, :-2].argmax(axis=1), silence)),
        "and nobody enrolled, by the calibration": turns(np.where(spoken, gains[:, :-1].argmax(axis=1), silence)),
        "and silence": turns(gains.argmax(axis=1)),
        "and the path": path,
        "and each segment judged": [(each.label, each.start, each.end) for each in segments],
    }


def an_hour(folder: Path, where: Path) -> Path:
    """An hour of conversations as FLAC."""
    path = where / "hour.flac"
    if not path.exists():
        _identifier, voices, enrolled, strangers = librispeech_10(folder, where)
        with sf.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
            seed = FIRST_SEED
            while file.frames < 3600 * RATE:
                made = conversation(voices, enrolled, strangers, seed, N_TURNS)
                file.write(made.samples[: 3600 * RATE - file.frames])
                seed += 1
    return path


def cost(folder: Path, where: Path) -> str:
    """An hour: throughput and memory by the number of speakers, and against windows that are identified one by one."""
    identifier, *_rest = librispeech_10(folder, where)
    hour = an_hour(folder, where)
    lines = [
        "| an hour of FLAC | × real time, two threads | one thread | peak memory, MB | before the first sample, MB |",
        "|---|---|---|---|---|",
    ]
    for n in (10, 20, 100, 1000):
        runs = {jobs: [] for jobs in (2, 1)}
        for _ in range(2 if n <= 100 else 1):
            for jobs, found in runs.items():
                command = [sys.executable, "-m", "benchmarks.timeline_crowd", str(where / "librispeech-10.db"), str(n),
                           str(hour), str(jobs)]  # fmt: skip
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        two, one = (np.median(found, axis=0) for found in runs.values())
        lines.append(f"| {n:,} speakers | {3600 / two[0]:.0f} | {3600 / one[0]:.0f} | {two[1]:.0f} | {two[2]:.0f} |")
        print(lines[-1], flush=True)
    samples = load_samples(hour, sample_rate=RATE)[: 60 * RATE]

    def windows() -> None:
        for start in range(0, len(samples) - 3 * RATE // 2, RATE // 2):
            identifier.identify(samples[start : start + 3 * RATE // 2], sample_rate=RATE)

    times = interleaved_medians(
        {"windows": windows, "timeline": lambda: identifier.timeline(samples, sample_rate=RATE, jobs=1)}, rounds=3
    )
    ratio = times["windows"] / times["timeline"]
    lines += [
        "",
        f"A minute in one thread, 10 speakers: windows of 1.5 s every half a second, each asked by `identify`, take "
        f"{ratio:.1f} times as long, and know neither silence within them nor boundaries.",
    ]
    return "\n".join(lines)


def main() -> None:
    folder = corpora()
    if folder is None:
        sys.exit("no corpora: set SPEAKERID_CORPORA to where they are")
    parts = {
        "conversations": (PAGE, conversations), "meetings": (PAGE, meetings), "timelines-cost": (COST_PAGE, cost)
    }  # fmt: skip
    chosen = sys.argv[1:] or [*parts]
    with tempfile.TemporaryDirectory() as where:
        for name in chosen:
            page, make = parts[name]
            text = make(folder, Path(where))
            print(text)
            write_part(page, name, text)


if __name__ == "__main__":
    main()
