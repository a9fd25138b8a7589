"""Measure, and write benchmarks/README.md.

What is compared runs interleaved in one process, on the same recordings; medians. Ratios hold better than times.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import mixtures, panel
from benchmarks.timing import interleaved_medians
from speakerid.audio import load_samples
from speakerid.config import Config, FrontEndConfig, TrainingConfig
from speakerid.frontend import extract_features
from speakerid.workflows.enroll import enroll_recordings
from speakerid.workflows.gather import gather_for_enrollment

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "data" / "sample"


def _voices() -> tuple[Path, str]:
    folder = panel.corpora()
    if folder is not None:
        return folder / "librispeech-251", "LibriSpeech, 251 speakers, one FLAC of about 14 s each"
    return SAMPLE / "enroll", "the sample recordings (no corpora here)"


def features() -> str:
    """Own front end against librosa, one recording of about 14 s, one thread."""
    import librosa

    files = sorted(_voices()[0].rglob("*.flac"))[:4]
    samples = np.concatenate([load_samples(f, sample_rate=16000) for f in files])[: 14 * 16000]
    config = FrontEndConfig(cepstra=13, deltas=2)
    bare = FrontEndConfig(cepstra=13, deltas=2, speech_activity="none")

    def by_librosa() -> object:
        static = librosa.feature.mfcc(
            y=samples, sr=16000, n_mfcc=13, n_fft=512, win_length=400, hop_length=160, n_mels=40
        )
        return np.vstack([static, librosa.feature.delta(static), librosa.feature.delta(static, order=2)])

    with threadpool_limits(1):
        times = interleaved_medians(
            {
                "librosa, MFCC + Δ + ΔΔ": by_librosa,
                "speakerid, MFCC + Δ + ΔΔ": lambda: extract_features(samples, bare),
                "speakerid, MFCC + Δ + ΔΔ and speech activity": lambda: extract_features(samples, config),
                "speakerid, default settings": lambda: extract_features(samples),
            },
            rounds=41,
        )
    base = times["librosa, MFCC + Δ + ΔΔ"]
    rows = [
        f"| {name} | {1000 * t:.2f} ms | {base / t:.1f} × | {len(samples) / 16000 / t:,.0f} × |"
        for name, t in times.items()
    ]
    head = "| features of 14 s, one thread | time | × librosa | × real time |\n|---|---|---|---|\n"
    return head + "\n".join(rows)


def enrolment() -> str:
    """Enrol every speaker: our command against librosa and scikit-learn in a loop."""
    import librosa
    import soundfile
    from sklearn.mixture import GaussianMixture

    folder, what = _voices()
    gathered = gather_for_enrollment([str(folder)])
    items = [(r.speaker or "", r) for r in gathered.recordings]
    config = Config(front_end=FrontEndConfig(cepstra=13, deltas=2), training=TrainingConfig(components=32, tolerance=0))

    def by_loop() -> None:
        for _name, recording in items:
            samples, rate = soundfile.read(recording.path, dtype="float32")
            static = librosa.feature.mfcc(
                y=samples, sr=rate, n_mfcc=13, n_fft=512, win_length=400, hop_length=160, n_mels=40
            )
            frames = np.vstack([static, librosa.feature.delta(static), librosa.feature.delta(static, order=2)]).T
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # it says that 20 iterations did not converge: they are what is compared
                # float64: in float32 scikit-learn stops at a collapsed component on some recordings
                GaussianMixture(32, covariance_type="diag", max_iter=20, tol=0, random_state=0).fit(
                    frames.astype(float)
                )

    def ours(jobs: int) -> Callable[[], object]:
        def work() -> None:
            with tempfile.TemporaryDirectory() as temporary:
                enroll_recordings(Path(temporary) / "s.db", items, config=config, jobs=jobs)

        return work

    jobs = len(os.sched_getaffinity(0))
    times = interleaved_medians(
        {
            "librosa + scikit-learn in a loop": by_loop,
            "speakerid, --jobs 1": ours(1),
            f"speakerid, --jobs {jobs}": ours(jobs),
        },
        rounds=3,
    )
    base = times["librosa + scikit-learn in a loop"]
    rows = [f"| {name} | {t:.2f} s | {base / t:.1f} × |" for name, t in times.items()]
    head = f"| enrol {len(items)} recordings, K = 32, 20 iterations | time | × the loop |\n|---|---|---|\n"
    return (
        f"{head}"
        + "\n".join(rows)
        + f"\n\nRecordings: {what}. Both run 20 iterations of EM; ours also checks, hashes and stores."
    )


def commands() -> str:
    """Wall time of whole commands, start to exit."""
    program = [sys.executable, "-m", "speakerid"]
    with tempfile.TemporaryDirectory() as temporary:
        db = str(Path(temporary) / "s.db")
        subprocess.run([*program, "enroll", str(SAMPLE / "enroll"), "--db", db], check=True, capture_output=True)
        wav = Path(temporary) / "five.wav"
        import soundfile

        parts = [load_samples(SAMPLE / "test" / f"alice-{n}.flac", sample_rate=16000) for n in (1, 2)]
        soundfile.write(wav, np.concatenate(parts)[: 5 * 16000], 16000)

        def run(*arguments: str) -> Callable[[], object]:
            return lambda: subprocess.run([*program, *arguments], check=True, capture_output=True)

        times = interleaved_medians(
            {
                "`speakerid --help`": run("--help"),
                "`speakerid identify five-seconds.wav`, 10 speakers": run("identify", str(wav), "--db", db),
            },
            rounds=15,
        )
    rows = [f"| {name} | {t:.2f} s |" for name, t in times.items()]
    return "| command, start to exit | time |\n|---|---|\n" + "\n".join(rows)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = named[0] if named else model
        model += ", AVX-512" if "avx512f" in cpuinfo.read_text() else ""
    packages = ("numpy", "scipy", "librosa", "scikit-learn", "soundfile")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return f"{len(os.sched_getaffinity(0))} cores of {model}; Python {platform.python_version()}, {versions}."


def main() -> None:
    """Write the page."""
    text = f"""# Measured

By `make benchmark`, interleaved medians. {_machine()}

## Speed

{features()}

{enrolment()}

{commands()}

## Mixtures

{(mixtures.__doc__ or "").strip()}

{mixtures.section()}

## Accuracy

Default settings, by `speakerid evaluate` on the protocols of the shared corpora (`make panel`). A recording without an
answer counts as wrong. Of `librispeech-251-2s` 10 s of an utterance are enrolled and 2 s of the rest asked; the words
asked in `-other-words` are none of those enrolled; `fsdd-digits` asks single digits of 0.4 s; `ami-timelines` stretches
of meetings with several voices. Verification asks every recording of every speaker enrolled, with calibrated log-likelihood
ratios where speakers are adapted, else with the score less that of the best other speaker; strangers are told by the same
scores. `docs/strangers.md` has more about them. Intervals of top-1 are Wilson's, the others by
resampling speakers and recordings. The last three columns are top-1 figures of others, and the detection EER of
strangers, as quoted beside the corpora: prototypes by maximum likelihood (16 components, 13 MFCC + Δ + ΔΔ) and with a
world model of 256 components and MAP adaptation (20 MFCC + Δ + ΔΔ), and Resemblyzer 0.1.4, a neural d-vector. ¹ That
world had been trained on the impostors too.

{panel.BEGIN}
{panel.section()}
{panel.END}
"""
    (HERE / "README.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
