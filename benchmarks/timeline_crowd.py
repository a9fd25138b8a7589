"""The timeline of one recording with so many speakers, in a process of its own, so that its memory is what this takes.

``python -m benchmarks.timeline_crowd STORE SPEAKERS RECORDING JOBS`` prints seconds, peak memory and memory before, MB.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
import time
from pathlib import Path

import numpy as np

from speakerid.mixtures import GaussianMixture
from speakerid.store import Store
from speakerid.workflows.identify import Identifier
from speakerid.workflows.shipped import shipped_calibration


def crowd(store_path: Path, n: int) -> Identifier:
    """So many speakers: those of a store, and copies of them with other means, whom nobody sounds like."""
    rng = np.random.default_rng(0)
    with Store(store_path) as store:
        mixtures, records, world = dict(store.mixtures()), list(store.records().values()), store.world
        front_end = store.front_end
    assert world is not None
    own = [*mixtures.values()]
    for number in range(len(own), n):
        like = own[number % len(own)]
        means = like.means + rng.normal(scale=0.1, size=like.means.shape) * np.sqrt(like.variances)
        mixtures[f"somebody {number}"] = GaussianMixture(like.weights, means, like.covariances, like.covariance_type)
        records.append(records[number % len(own)])
    return Identifier(
        dict(itertools.islice(mixtures.items(), n)), front_end, world=world, top_components=10,
        calibration=shipped_calibration(), expected=[record.get("expected_ratio") for record in records[:n]],
        environments=[record.get("environment") for record in records[:n]], enrolled_band="wide",
    )  # fmt: skip


def peak_megabytes() -> float:
    """Peak of resident memory so far; that of `getrusage` would be the parent's, if that was larger."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def main(store_path: str, n: str, recording: str, jobs: str) -> None:
    identifier = crowd(Path(store_path), int(n))
    before = peak_megabytes()
    began = time.perf_counter()
    timeline = identifier.timeline(recording, jobs=int(jobs))
    seconds = time.perf_counter() - began
    print(json.dumps([seconds, peak_megabytes(), before, len(timeline.segments)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
