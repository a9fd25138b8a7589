"""The state of the installation, as findings that a person can act on."""

from __future__ import annotations

import importlib.metadata
import io
import platform
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speakerid._version import __version__
from speakerid.errors import SpeakerIdError
from speakerid.parallel import effective_jobs, one_blas_thread

__all__ = ["Finding", "examine"]

_NEEDED = (
    "numpy", "scipy", "librosa", "soundfile", "soxr", "click", "rich", "joblib", "threadpoolctl", "platformdirs", "jinja2",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes
    ----------
    check : str
    ok : bool or None
        None for what is optional and absent.
    found : str
        What was found, and what to do when it is not in order.
    """

    check: str
    ok: bool | None
    found: str


def examine(store_path: str | Path) -> list[Finding]:
    """Run every check; none of them raises."""
    return list(_findings(Path(store_path)))


def _findings(store_path: Path) -> Iterator[Finding]:
    yield Finding(
        "speakerid", True, f"{__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    missing = []
    versions = []
    for name in _NEEDED:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", not missing, f"missing: {', '.join(missing)}" if missing else ", ".join(versions))
    yield _guarded("codecs", _codecs)
    yield _media()
    yield _microphone()
    yield _guarded("models", _models)
    yield _guarded("threads", _threads)
    yield _guarded("speed", _speed)
    yield _cache()
    yield _store(store_path)


def _guarded(check: str, function: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, function())
    except Exception as error:  # noqa: BLE001 - a finding, whatever it is
        return Finding(check, False, f"{type(error).__name__}: {error}; install speakerid again")


def _codecs() -> str:
    """Write and read back what libsndfile says it can do."""
    import soundfile

    samples = np.sin(np.arange(16000) * 0.1).astype(np.float32) * 0.5
    works: list[str] = []
    fails: list[str] = []
    for name, subtype in (("WAV", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)):
        label = subtype or name
        try:
            buffer = io.BytesIO()
            soundfile.write(buffer, samples, 16000, format=name, subtype=subtype)
            buffer.seek(0)
            back, _rate = soundfile.read(buffer)
            (works if len(back) >= len(samples) else fails).append(label)
        except (soundfile.SoundFileError, ValueError):
            fails.append(label)
    if "WAV" in fails or "FLAC" in fails:
        raise RuntimeError(f"libsndfile cannot read {', '.join(fails)}")
    without = f"; not: {', '.join(fails)} (libsndfile is too old)" if fails else ""
    return f"libsndfile {soundfile.__libsndfile_version__}: {', '.join(works)}{without}"


def _microphone() -> Finding:
    """Whether there is something to listen to: most computers need nothing of it."""
    from speakerid.audio.microphone import list_devices

    try:
        names = [device.name for device in list_devices()]
    except SpeakerIdError as error:
        return Finding("microphone", None, str(error))
    return Finding("microphone", True if names else None, f"{len(names)}: {', '.join(names)}" if names else "none")


def _models() -> str:
    """What comes with the program, read and checked."""
    from speakerid.config import FrontEndConfig
    from speakerid.workflows.shipped import SHIPPED_WORLDS, shipped_calibration, shipped_world

    world = shipped_world(FrontEndConfig())
    if world is None:
        raise SpeakerIdError("no world model of the default features comes with this copy: install it again")
    recordings = shipped_calibration().about["recordings"]
    return (
        f"{len(SHIPPED_WORLDS)} world models, {world.mixture.n_components} components; calibration from "
        f"{recordings:,} recordings"
    )


def _media() -> Finding:
    # not only its metadata: a half-removed PyAV has them too
    try:
        version = importlib.metadata.version("av")
    except importlib.metadata.PackageNotFoundError:
        return Finding("m4a, aac, webm, ...", None, 'not installed: pip install av (the extra "media")')
    try:
        import av  # noqa: F401
    except ImportError as error:
        return Finding("m4a, aac, webm, ...", False, f"PyAV {version} cannot be imported ({error}): install it again")
    return Finding("m4a, aac, webm, ...", True, f"PyAV {version}")


def _threads() -> str:
    from threadpoolctl import threadpool_info

    with one_blas_thread():
        pools = [pool for pool in threadpool_info() if pool.get("user_api") == "blas"]
    held = all(pool["num_threads"] == 1 for pool in pools)
    blas = ", ".join(f"{pool['internal_api']} {pool['version']}" for pool in pools) or "none that can be limited"
    return f"{effective_jobs(None)} processor cores; BLAS: {blas}{'' if held else ' (cannot be held to one thread)'}"


def _speed() -> str:
    """Features and scores of ten seconds of noise, as a figure to compare computers by."""
    from speakerid.config import FrontEndConfig, TrainingConfig
    from speakerid.frontend import extract_features
    from speakerid.mixtures import train

    samples = np.random.default_rng(0).standard_normal(160000).astype(np.float32) * np.float32(0.1)
    config = FrontEndConfig(speech_activity="none")
    with one_blas_thread():
        extract_features(samples, config)
        begin = time.perf_counter()
        features = extract_features(samples, config)
        seconds = time.perf_counter() - begin
        _mixture, record = train(features.values, TrainingConfig(components=8, iterations=5))
    if list(record.log_likelihoods) != sorted(record.log_likelihoods):
        raise RuntimeError("the log-likelihood of EM fell: this processor's arithmetic cannot be trusted")
    return f"features {10 / seconds:,.0f} x real time on one thread; EM rises as it should"


def _cache() -> Finding:
    from speakerid.workflows.cache import FeatureCache
    from speakerid.workflows.sizes import format_size

    check = "feature cache"
    try:
        with FeatureCache.from_environment() as cache:
            usage = cache.usage()
        if not cache.limit_bytes:
            return Finding(check, None, f"{cache.folder}: the limit is 0, nothing is kept")
        of = f"{format_size(usage.bytes)} of {format_size(cache.limit_bytes)}"
        return Finding(check, True, f"{cache.folder}: {usage.entries} entries, {of}")
    except (SpeakerIdError, OSError) as error:
        return Finding(check, False, str(error))


def _store(path: Path) -> Finding:
    from speakerid.store import Store

    try:
        if not path.exists():
            return Finding("store", None, f"{path}: none yet")
        with Store(path) as store:
            store.check()
            n_speakers = len(store.names())
        size = path.stat().st_size / 1e6
        return Finding("store", True, f"{path}: {n_speakers} speakers, {size:.1f} MB, intact")
    except (SpeakerIdError, OSError) as error:
        return Finding("store", False, str(error))
