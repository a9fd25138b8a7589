"""Make golden_timelines.json: random timelines and what pyannote.metrics says of them.

Run it where pyannote.metrics is installed: ``python make_golden_timelines.py > golden_timelines.json``. It knows nothing of
speakerid. Where the definitions differ, pyannote.metrics is given what makes them the same:

- its collar is both sides of a boundary together, so it gets twice ours;
- two turns of one label that overlap are two speakers for it, so each label's turns are merged first (``support``);
- speakers who are not enrolled are renamed to "unknown" after merging, so that two of them at once are two speakers. The
  diarization error rate is computed with all names as they are: for two unknown speakers at once pyannote.metrics counts
  the common time with one label twice when it looks for the best mapping.
"""

from __future__ import annotations

import json
import random
import warnings
from importlib.metadata import version
from typing import Any

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate
from pyannote.metrics.identification import IdentificationErrorRate

Turn = tuple[str, float, float]
COMPONENTS = {
    "total": "total",
    "missed": "missed detection",
    "false_alarm": "false alarm",
    "confusion": "confusion",
    "correct": "correct",
}
N_SCENARIOS = 48


def annotation(turns: list[Turn], renamed: dict[str, str] | None = None) -> Annotation:
    """Merge each label's turns, then rename."""
    whole = Annotation()
    for number, (label, start, end) in enumerate(turns):
        whole[Segment(start, end), number] = label
    result = Annotation()
    for number, (segment, _track, label) in enumerate(whole.support().itertracks(yield_label=True)):
        result[segment, number] = (renamed or {}).get(label, label)
    return result


def turns_of(rng: random.Random, labels: list[str]) -> list[Turn]:
    """Turns that follow, overlap, repeat and touch each other."""
    turns: list[Turn] = []
    time = rng.uniform(0, 3)
    for _ in range(rng.randint(4, 18)):
        start = max(0.0, time + rng.choice([0.0, rng.uniform(-2, 2), rng.uniform(0, 3)]))
        end = start + rng.choice([rng.uniform(0.05, 1), rng.uniform(1, 6)])
        turns.append((rng.choice(labels), round(start, 3), round(end, 3)))
        time = end if rng.random() < 0.8 else start
    return turns


def moved(rng: random.Random, turns: list[Turn], labels: list[str], names: dict[str, str]) -> list[Turn]:
    """Turns as a system would find them: shifted ends, some lost, some of another name, some made up."""
    found: list[Turn] = []
    for label, start, end in turns:
        if rng.random() < 0.1:
            continue
        a = round(max(0.0, start + rng.choice([0.0, rng.gauss(0, 0.3)])), 3)
        b = round(end + rng.choice([0.0, rng.gauss(0, 0.3)]), 3)
        name = rng.choice(labels) if rng.random() < 0.2 else names.get(label, label)
        if b > a:
            found.append((name, a, b))
    return found + (turns_of(rng, labels)[:2] if rng.random() < 0.5 else [])


def stretches_of(rng: random.Random, turns: list[Turn]) -> list[tuple[float, float]] | None:
    if rng.random() < 0.5:
        return None
    last = max(end for _label, _start, end in turns)
    edges = sorted(round(rng.uniform(-1, last + 2), 3) for _ in range(rng.choice([2, 4])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def scenario(number: int) -> dict[str, Any]:
    rng = random.Random(number)
    speakers = [f"s{i}" for i in range(rng.randint(2, 5))]
    strangers = speakers[rng.randint(1, len(speakers)) :]
    renamed = dict.fromkeys(strangers, "unknown")
    labels = [name for name in speakers if name not in renamed] + ["unknown"]
    reference = turns_of(rng, speakers)
    hypothesis = moved(rng, reference, labels, renamed)
    if not hypothesis:
        hypothesis = turns_of(rng, labels)
    if number % 2:  # names that mean little, as a diarizer gives them
        other = dict(zip(labels, rng.sample(labels, len(labels)), strict=True))
        hypothesis = [(other[label], start, end) for label, start, end in hypothesis]
    collar, skip_overlap = [0.0, 0.0, 0.1, 0.25, 0.5][number % 5], number % 3 == 2
    evaluated = stretches_of(rng, reference + hypothesis)
    uem = None if evaluated is None else Timeline([Segment(*stretch) for stretch in evaluated])
    options = {"collar": 2 * collar, "skip_overlap": skip_overlap}
    answers = {
        "names": IdentificationErrorRate(**options)(
            annotation(reference, renamed), annotation(hypothesis), uem=uem, detailed=True
        ),
        "best": DiarizationErrorRate(**options)(annotation(reference), annotation(hypothesis), uem=uem, detailed=True),
    }
    return {
        "reference": reference,
        "hypothesis": hypothesis,
        "known": [name for name in speakers if name not in renamed],
        "collar": collar,
        "skip_overlap": skip_overlap,
        "evaluated": evaluated,
        **{
            mapping: {ours: round(answer[theirs], 9) for ours, theirs in COMPONENTS.items()}
            for mapping, answer in answers.items()
        },
    }


def main() -> None:
    warnings.filterwarnings("ignore", message="'uem' was approximated")
    scenarios = ",\n".join(json.dumps(scenario(number)) for number in range(N_SCENARIOS))
    made_with = json.dumps({name: version(name) for name in ("pyannote.metrics", "pyannote.core")})
    print(f'{{"made_with": {made_with},\n"scenarios": [\n{scenarios}\n]}}')


if __name__ == "__main__":
    main()
