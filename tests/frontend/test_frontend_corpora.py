"""Speech activity on real speech and real noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from speakerid.config import FrontEndConfig
from speakerid.frontend import extract_static

pytestmark = pytest.mark.corpora
CONFIG = FrontEndConfig()


def read(path: Path) -> NDArray[np.float32]:
    samples, rate = sf.read(path, dtype="float32")
    assert rate == CONFIG.sample_rate
    return np.asarray(samples)


def has_speech(samples: NDArray[np.float32]) -> bool:
    return extract_static([samples], CONFIG).n_speech > 0


def test_at_most_three_percent_of_windows_of_noise_have_speech(corpora: Path) -> None:
    window = 3 * CONFIG.sample_rate
    found = {}
    for path in sorted((corpora / "noise").glob("*.flac")):
        samples = read(path)
        for start in range(0, len(samples) - window + 1, window):
            found[path.name, start // CONFIG.sample_rate] = has_speech(samples[start : start + window])
    assert len({name for name, _start in found}) == 3
    assert len(found) >= 100
    assert sum(found.values()) <= 0.03 * len(found), [key for key, speech in found.items() if speech]


@pytest.mark.parametrize(
    ("corpus", "step", "share", "least"),
    [("arabic-commands", 4, 0.99, 200), ("dspspeech", 3, 0.99, 200), ("librispeech-251", 4, 1.0, 60)],
)
def test_nearly_all_recordings_of_speech_have_speech(
    corpora: Path, corpus: str, step: int, share: float, least: int
) -> None:
    paths = sorted((corpora / corpus).glob("*/*.flac"))[::step]
    assert len(paths) >= least
    silent = [str(path.relative_to(corpora)) for path in paths if not has_speech(read(path))]
    assert len(silent) <= (1 - share) * len(paths), silent


def test_most_of_a_read_sentence_is_speech(corpora: Path) -> None:
    paths = sorted((corpora / "librispeech-10").glob("*/*.flac"))[::5]
    assert len(paths) >= 20
    shares = [float(extract_static([read(path)], CONFIG).speech.mean()) for path in paths]
    assert min(shares) > 0.5
    assert np.median(shares) > 0.8
