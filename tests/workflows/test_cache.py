"""The feature cache: the same bits as without it, no second look at the audio, and no trust in what lies in its folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from speakerid.audio import Recording
from speakerid.config import FrontEndConfig
from speakerid.errors import RecordingError, UsageError
from speakerid.workflows import cache as module
from speakerid.workflows.analysis import Analysis, Waveform, analyse
from speakerid.workflows.cache import (
    DEFAULT_LIMIT_BYTES,
    FeatureCache,
    Usage,
    default_cache_folder,
    default_cache_limit,
)
from speakerid.workflows.sizes import format_size, parse_size

CONFIG = FrontEndConfig()
HOUR_NS = 3_600_000_000_000


@pytest.fixture
def voices(tmp_path: Path, sample: Path) -> list[Path]:
    """Four recordings of our own to change, which `settled` makes old enough to be trusted."""
    folder = tmp_path / "voices"
    folder.mkdir()
    names = ("aino-1", "jose-1", "tom-1", "tom-2")
    return [Path(shutil.copy(sample / "test" / f"{name}.flac", folder)) for name in names]


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours pass in the cache's own clock, so that the files of a test are no longer new."""
    real = time.time_ns
    monkeypatch.setattr(module.time, "time_ns", lambda: real() + 2 * HOUR_NS)


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From then on no recording can be analysed, and without `digests` its bytes cannot be read either."""

    def shut(*, digests: bool = False) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("the audio was read")

        monkeypatch.setattr(module, "analyse", refuse)
        if not digests:
            monkeypatch.setattr(module, "_digest_file", refuse)

    return shut


def same(first: Analysis, second: Analysis) -> bool:
    """Equal in every bit, type and shape."""
    plain = [field.name for field in dataclasses.fields(Analysis) if field.name != "static"]
    return (
        all(repr(getattr(first, name)) == repr(getattr(second, name)) for name in plain)
        and all(type(getattr(first, name)) is type(getattr(second, name)) for name in plain)
        and first.static.cepstra.dtype == second.static.cepstra.dtype == np.float32
        and first.static.speech.dtype == second.static.speech.dtype == np.bool_
        and first.static.cepstra.shape == second.static.cepstra.shape
        and first.static.cepstra.tobytes() == second.static.cepstra.tobytes()
        and first.static.speech.tobytes() == second.static.speech.tobytes()
    )


def entries(cache: FeatureCache) -> list[Path]:
    return sorted(cache.folder.glob("*.features"))


def counts(cache: FeatureCache) -> tuple[int, int, int]:
    return cache.hits, cache.misses, cache.damaged


# the same bits


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        FrontEndConfig(c0="drop", dynamic_range_db=80.0, log="decibel"),
        FrontEndConfig(sample_rate=8000, speech_activity="energy", centred=True),
        FrontEndConfig(engine="librosa", speech_activity="none", normalisation="mean_variance"),
    ],
    ids=["default", "dropped", "8 kHz", "librosa"],
)
def test_cold_and_warm_equal_the_plain_analysis(tmp_path: Path, sample: Path, config: FrontEndConfig) -> None:
    sources = [Recording(str(path)) for path in sorted((sample / "test").glob("*.flac"))[:6]]
    sources.append(Recording(str(sample / "test" / "silence.flac")))
    with FeatureCache(tmp_path) as cache:
        for round_ in range(2):
            for source in sources:
                plain = analyse(source, config, hash_content=True)
                given_ = cache.analyse(source, config)
                assert same(plain, given_), (round_, source.path)
                # a caller may go on in place
                assert given_.static.cepstra.flags.writeable
                assert given_.static.cepstra.flags.c_contiguous
        assert counts(cache) == (7, 7, 0)
        assert cache.trouble is None


def test_stretches_and_channels_are_entries_of_their_own(tmp_path: Path, speech: tuple[Any, int]) -> None:
    samples, rate = speech
    path = tmp_path / "two.wav"
    sf.write(path, np.stack([samples, samples[::-1]], axis=1), rate)
    asked = [
        (Recording(str(path)), None), (Recording(str(path)), 1), (Recording(str(path)), 2),
        (Recording(str(path), start=0.5, end=2.0), None), (Recording(str(path), start=0.5, end=2.0), 2),
        (Recording(str(path), start=0.5), None), (Recording(str(path), end=2.0), None),
    ]  # fmt: skip
    with FeatureCache(tmp_path / "cache") as cache:
        for _ in range(2):
            for source, channel in asked:
                plain = analyse(source, CONFIG, channel=channel, hash_content=True)
                assert same(plain, cache.analyse(source, CONFIG, channel=channel))
        assert counts(cache) == (7, 7, 0)
        assert cache.usage().entries == 7
        # what the recording is called and who speaks changes nothing
        cache.analyse(Recording(str(path), speaker="x", session="y", split="test", origin="z"), CONFIG)
        assert cache.hits == 8


def changed_settings() -> dict[str, dict[str, Any]]:
    """For every setting of the front end another value than its default."""
    other: dict[str, Any] = {
        "engine": "librosa", "window": "hamming", "mel_scale": "slaney", "mel_norm": "slaney", "log": "decibel",
        "c0": "keep", "normalisation": "mean", "speech_activity": "energy", "centred": True, "sample_rate": 8000,
        "fft_size": 1024, "mel_high_hz": 4000.0, "dynamic_range_db": 60.0, "level_range_db": 50.0, "lifter": 22,
        "pre_emphasis": 0.9,
        "frame_length_ms": 30.0, "frame_shift_ms": 12.0, "mel_bands": 30, "mel_low_hz": 100.0, "log_floor": 1e-8,
        "cepstra": 19, "deltas": 2, "delta_window": 3, "speech_range_db": 40.0, "speech_floor_db": -60.0,
        "speech_evidence": 0.0, "voicing_threshold": 0.5, "voicing_reach_ms": 200.0,
    }  # fmt: skip
    return {name: {name: value} for name, value in other.items()}


def test_every_setting_is_tried() -> None:
    assert set(changed_settings()) == {field.name for field in dataclasses.fields(FrontEndConfig)}


@pytest.mark.parametrize("change", changed_settings().values(), ids=changed_settings())
def test_only_what_acts_later_shares_an_entry(tmp_path: Path, voices: list[Path], change: dict[str, Any]) -> None:
    other = FrontEndConfig(**change)
    shares = set(change) <= {"deltas", "delta_window", "normalisation"}
    source = Recording(str(voices[0]))
    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(source, CONFIG)
        assert same(cache.analyse(source, other), analyse(source, other, hash_content=True))
        assert counts(cache) == ((1, 1, 0) if shares else (0, 2, 0))
        assert cache.usage().entries == (1 if shares else 2)


# the audio is not read again


def test_a_hit_reads_no_audio(tmp_path: Path, voices: list[Path], settled: None, blind: Callable[..., None]) -> None:
    sources = [Recording(str(path)) for path in voices]
    with FeatureCache(tmp_path / "cache") as cache:
        cold = [cache.analyse(source, CONFIG) for source in sources]
    blind()
    with FeatureCache(tmp_path / "cache") as cache:
        assert all(same(a, cache.analyse(source, CONFIG)) for a, source in zip(cold, sources, strict=True))
        assert counts(cache) == (4, 0, 0)


OPENED = """
import sys
from pathlib import Path
folder, *paths = sys.argv[1:]
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from speakerid.audio import Recording
from speakerid.config import FrontEndConfig
from speakerid.workflows import cache as module
if folder.endswith("!"):
    import time
    real = time.time_ns
    module.time.time_ns = lambda: real() + 7200 * 10**9
with module.FeatureCache(folder.rstrip("!")) as cache:
    for path in paths:
        cache.analyse(Recording(path), FrontEndConfig())
print(cache.hits, sum(opened.count(path) for path in paths))
"""


def test_another_process_opens_no_audio(tmp_path: Path, voices: list[Path], python: Callable[..., Any]) -> None:
    folder = f"{tmp_path / 'cache'}!"
    first = python(OPENED, folder, *voices)
    assert (first.status, first.err, first.out) == (0, "", "0 8\n")  # once for the digest, once for the features
    second = python(OPENED, folder, *voices)
    assert (second.status, second.err, second.out) == (0, "", "4 0\n")
    # files that are new are not trusted by their times: the bytes are read, and found to be the same
    for path in voices:
        path.write_bytes(path.read_bytes())
    third = python(OPENED, folder.rstrip("!"), *voices)
    assert (third.status, third.err, third.out) == (0, "", "4 4\n")


def test_new_files_are_not_remembered_by_their_times(tmp_path: Path, voices: list[Path]) -> None:
    with FeatureCache(tmp_path / "cache") as cache:
        os.utime(voices[0], (1e9, 1e9))  # an old time of the content, but the file was changed just now
        for _ in range(2):
            cache.analyse(Recording(str(voices[0])), CONFIG)
        assert counts(cache) == (1, 1, 0)
        assert list(cache.folder.glob("*.seen")) == []


def test_content_of_the_same_size_and_time_is_noticed(tmp_path: Path, speech: tuple[Any, int], settled: None) -> None:
    samples, rate = speech
    path = tmp_path / "voice.wav"
    sf.write(path, samples, rate)
    before = path.stat()
    with FeatureCache(tmp_path / "cache") as cache:
        old = cache.analyse(Recording(str(path)), CONFIG)
        with path.open("r+b") as file:  # the same inode
            file.seek(44)
            file.write(samples[::-1].tobytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
        new = cache.analyse(Recording(str(path)), CONFIG)
        assert new.content_hash != old.content_hash
        assert same(new, analyse(Recording(str(path)), CONFIG, hash_content=True))
        assert counts(cache) == (0, 2, 0)


def test_moved_and_copied_files_are_known_by_their_content(
    tmp_path: Path, voices: list[Path], settled: None, blind: Callable[..., None]
) -> None:
    with FeatureCache(tmp_path / "cache") as cache:
        plain = cache.analyse(Recording(str(voices[0])), CONFIG)
        blind(digests=True)
        copied = Path(shutil.copy(voices[0], tmp_path / "copy of it.flac"))
        moved = voices[0].rename(tmp_path / "moved")
        assert same(plain, cache.analyse(Recording(str(copied)), CONFIG))
        assert same(plain, cache.analyse(Recording(str(moved)), CONFIG))
        assert counts(cache) == (2, 1, 0)
        blind()  # and from now on by their new names
        assert same(plain, cache.analyse(Recording(str(copied)), CONFIG))
        assert cache.usage().entries == 1


def test_a_relative_path_means_what_it_means_now(
    tmp_path: Path, voices: list[Path], settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(voices[1], other / voices[0].name)
    monkeypatch.chdir(voices[0].parent)
    with FeatureCache("../cache") as cache:
        first = cache.analyse(Recording(voices[0].name), CONFIG)
        monkeypatch.chdir(other)
        second = cache.analyse(Recording(voices[0].name), CONFIG)
        assert first.content_hash != second.content_hash
        assert cache.folder == (voices[0].parent / "../cache/features-v1")
        assert cache.usage().entries == 2


@pytest.mark.parametrize("old", [True, False])
def test_a_file_that_changes_meanwhile_leaves_nothing(
    tmp_path: Path, voices: list[Path], monkeypatch: pytest.MonkeyPatch, old: bool, request: pytest.FixtureRequest
) -> None:
    if old:
        request.getfixturevalue("settled")
    status = voices[0].stat()

    def swap(source: Any, *arguments: Any, **options: Any) -> Analysis:
        result = analyse(source, *arguments, **options)
        voices[0].write_bytes(voices[1].read_bytes())
        if not old:  # as far as its times tell, nothing happened
            monkeypatch.setattr(module._Seen, "of", staticmethod(lambda path, _: real(path, status)))
        return result

    real = module._Seen.of
    monkeypatch.setattr(module, "analyse", swap)
    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.usage() == Usage(0, 0)


def test_a_file_that_is_exchanged_or_removed_before_it_is_read(
    tmp_path: Path, voices: list[Path], settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._digest_file

    def exchange(seen: Any) -> bytes | None:
        shutil.copy(voices[1], tmp_path / "new")
        (tmp_path / "new").replace(voices[0])
        return real(seen)

    def remove(seen: Any) -> bytes | None:
        voices[2].unlink()
        return real(seen)

    with FeatureCache(tmp_path / "cache") as cache:
        monkeypatch.setattr(module, "_digest_file", exchange)
        new = analyse(Recording(str(voices[1])), CONFIG, hash_content=True)
        assert same(cache.analyse(Recording(str(voices[0])), CONFIG), new)
        monkeypatch.setattr(module, "_digest_file", remove)
        with pytest.raises(RecordingError, match="no such file"):
            cache.analyse(Recording(str(voices[2])), CONFIG)
        assert cache.usage() == Usage(0, 0)
        assert counts(cache) == (0, 0, 0)


def test_what_cannot_be_looked_up_goes_straight_through(
    tmp_path: Path, speech: tuple[Any, int], bad_inputs: dict[str, Path]
) -> None:
    samples, rate = speech
    with FeatureCache(tmp_path / "cache") as cache:
        wave = Waveform(samples, rate)
        assert same(cache.analyse(wave, CONFIG), analyse(wave, CONFIG, hash_content=True))
        for name in ("empty", "text", "truncated", "fifo", "folder", "missing"):
            for path in (str(bad_inputs[name]), f"{bad_inputs[name]}\0"):
                with pytest.raises(RecordingError) as plain:
                    analyse(Recording(path), CONFIG, hash_content=True)
                for _ in range(2):
                    with pytest.raises(RecordingError) as raised:
                        cache.analyse(Recording(path), CONFIG)
                    assert (str(raised.value), raised.value.reason) == (str(plain.value), plain.value.reason)
        assert cache.hits == 0
        assert cache.usage() == Usage(0, 0)
        assert not cache.folder.exists()


# keys


def test_a_changed_program_or_library_has_other_keys(
    tmp_path: Path, voices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(module.__file__).parents[1]
    copy = tmp_path / "speakerid"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert module._program(copy) == module._program()
    for name in ("frontend/mel.py", "audio/media.py", "config.py", "workflows/analysis.py"):
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write("# another word\n")
        programs = {module._program.__wrapped__(copy), module._program()}
        assert len(programs) == 2, name
        shutil.copy(package / name, copy / name)
    (copy / "frontend" / "more.py").touch()
    assert module._program.__wrapped__(copy) != module._program()

    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
        monkeypatch.setattr(cache, "_program", module._program.__wrapped__(copy))
        cache.analyse(Recording(str(voices[0])), CONFIG)
        assert counts(cache) == (0, 2, 0)

    module._settings.cache_clear()
    keys = {module._settings(CONFIG)}
    for library in ("numpy", "scipy", "soxr", "soundfile", "av"):
        with monkeypatch.context() as patch:
            real = module._version
            patch.setattr(module, "_version", lambda name, u=library, r=real: "0.0" if name == u else r(name))
            module._settings.cache_clear()
            keys.add(module._settings(CONFIG))
    module._settings.cache_clear()
    assert len(keys) == 6


# damage


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


def signed(meta: dict[str, Any], payload: bytes) -> bytes:
    """Forge an entry whose digest is right."""
    text = json.dumps(meta).encode()
    body = struct.pack("<16sQ", b"speakerid-feat1\n", len(text)) + text + payload
    return body + hashlib.blake2b(body, digest_size=32).digest()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"This is a letter, not an entry.\n" * 100,
    "half": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "magic": lambda data: flip(data, 0),
    "version": lambda data: data.replace(b"feat1", b"feat2", 1),
    "length": lambda data: data[:16] + b"\xff" * 8 + data[24:],
    "meta": lambda data: flip(data, 40),
    "payload": lambda data: flip(data, len(data) // 2),
    "digest": lambda data: flip(data, len(data) - 1),
    "no meta": lambda _: signed({}, b""),
    "a list": lambda _: signed([], b""),  # type: ignore[arg-type]
    "another key": lambda _: signed({"key": "0" * 64, "shape": [0, 20]}, b""),
    "deep": lambda _: signed("[" * 100_000, b"").replace(b'"', b" "),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_computed_again(
    tmp_path: Path, voices: list[Path], settled: None, damage: Callable[[bytes], bytes]
) -> None:
    source = Recording(str(voices[0]))
    plain = analyse(source, CONFIG, hash_content=True)
    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(source, CONFIG)
        [entry] = entries(cache)
        whole = entry.read_bytes()
        entry.write_bytes(damage(whole))
        assert same(cache.analyse(source, CONFIG), plain)
        assert counts(cache) == (0, 2, 1)
        assert entry.read_bytes() == whole
        assert same(cache.analyse(source, CONFIG), plain)
        assert counts(cache) == (1, 2, 1)
        assert cache.trouble is None


@pytest.mark.parametrize(
    "meta",
    [
        {"shape": [-1, -20]}, {"shape": ["a", 20]}, {"shape": [1.5, 2]}, {"shape": [1]}, {"shape": None},
        {"shape": [1 << 70, 20]}, {"source_rate": float("inf")}, {"seconds": None}, {"seconds": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_an_entry_with_impossible_facts_is_not_believed(
    tmp_path: Path, voices: list[Path], settled: None, meta: dict[str, Any]
) -> None:
    source = Recording(str(voices[0]))
    with FeatureCache(tmp_path / "cache") as cache:
        plain = cache.analyse(source, CONFIG)
        [entry] = entries(cache)
        good = {
            "key": entry.stem, "shape": [0, 20], "seconds": 1.0, "speech_seconds": 0.0, "content_hash": "",
            "source_rate": 16000, "clipped_fraction": 0.0,
        }  # fmt: skip
        entry.write_bytes(signed(good, b""))  # believed, so that the others are refused for what they say
        assert len(cache.analyse(source, CONFIG).static) == 0
        entry.write_bytes(signed({**good, **meta}, b""))
        assert same(cache.analyse(source, CONFIG), plain)
        assert cache.damaged == 1


def test_an_entry_under_another_name_is_not_believed(tmp_path: Path, voices: list[Path], settled: None) -> None:
    with FeatureCache(tmp_path / "cache") as cache:
        first = cache.analyse(Recording(str(voices[0])), CONFIG)
        [entry] = entries(cache)
        cache.analyse(Recording(str(voices[1])), CONFIG)
        [other] = set(entries(cache)) - {entry}
        shutil.copy(other, entry)
        assert same(cache.analyse(Recording(str(voices[0])), CONFIG), first)
        assert cache.damaged == 1


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[:-1], lambda data: flip(data, 0), lambda data: flip(data, 60)],
    ids=["empty", "short", "magic", "digest of the content"],
)
def test_a_damaged_memory_of_a_file_is_not_believed(
    tmp_path: Path, voices: list[Path], settled: None, damage: Callable[[bytes], bytes]
) -> None:
    source = Recording(str(voices[0]))
    with FeatureCache(tmp_path / "cache") as cache:
        plain = cache.analyse(source, CONFIG)
        [seen] = cache.folder.glob("*.seen")
        whole = seen.read_bytes()
        seen.write_bytes(damage(whole))
        assert same(cache.analyse(source, CONFIG), plain)
        assert counts(cache) == (1, 1, 1)
        assert seen.read_bytes() == whole


def test_folders_and_pipes_in_the_place_of_an_entry(tmp_path: Path, voices: list[Path], settled: None) -> None:
    source = Recording(str(voices[0]))
    with FeatureCache(tmp_path / "cache") as cache:
        plain = cache.analyse(source, CONFIG)
        [entry] = entries(cache)
        entry.unlink()
        os.mkfifo(entry)
        assert same(cache.analyse(source, CONFIG), plain)
        assert entry.is_file()
        assert cache.trouble is None
        entry.unlink()
        entry.mkdir()
        assert same(cache.analyse(source, CONFIG), plain)
        assert cache.trouble is not None
        assert cache.clear().entries == 0
        assert entry.is_dir()


# the limit


def aged(cache: FeatureCache, hours: dict[str, int]) -> None:
    """Say when the entries of some recordings were used, by content hash."""
    for entry in entries(cache):
        meta = json.loads(entry.read_bytes()[24:].split(b"}")[0] + b"}")
        if meta["content_hash"] in hours:
            then = time.time_ns() - hours[meta["content_hash"]] * HOUR_NS
            os.utime(entry, ns=(then, then))


def test_the_least_recently_used_go(tmp_path: Path, voices: list[Path], settled: None) -> None:
    sources = [Recording(str(path)) for path in voices]
    with FeatureCache(tmp_path / "cache") as cache:
        found = [cache.analyse(source, CONFIG) for source in sources[:3]]
        size = cache.usage().bytes
        aged(cache, {a.content_hash or "": hours for a, hours in zip(found, (9, 8, 7), strict=True)})
        cache.analyse(sources[0], CONFIG)  # used now: no longer the oldest
    limit = size + 1000
    with FeatureCache(tmp_path / "cache", limit_bytes=limit) as cache:
        cache.analyse(sources[3], CONFIG)
        assert cache.usage().bytes <= limit
        hits = cache.hits
        for number, there in ((0, 1), (3, 1), (1, 0)):
            cache.analyse(sources[number], CONFIG)
            assert cache.hits == hits + there, number
            hits = cache.hits
        assert cache.usage().bytes <= limit


def test_a_small_limit_is_kept_all_the_time(tmp_path: Path, voices: list[Path], settled: None) -> None:
    limit = 30_000
    with FeatureCache(tmp_path / "cache", limit_bytes=limit) as cache:
        seen = set()
        for part in range(40):
            source = Recording(str(voices[part % 4]), start=0.02 * part, end=0.02 * part + 1.0)
            assert same(cache.analyse(source, CONFIG), analyse(source, CONFIG, hash_content=True))
            usage = cache.usage()
            assert 0 < usage.bytes <= limit
            seen.add(usage.entries)
        assert max(seen) >= 2
        assert cache.misses == 40
        assert cache.trouble is None


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path, voices: list[Path]) -> None:
    with FeatureCache(tmp_path / "cache", limit_bytes=2000) as cache:
        for _ in range(2):
            cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.usage().entries == 0
        assert (cache.hits, cache.trouble) == (0, None)


def test_an_entry_larger_than_a_new_limit_is_not_used(tmp_path: Path, voices: list[Path], settled: None) -> None:
    source = Recording(str(voices[0]))
    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(source, CONFIG)
        largest = entries(cache)[0].stat().st_size
    with FeatureCache(tmp_path / "cache", limit_bytes=largest - 1) as cache:
        cache.analyse(source, CONFIG)
        assert counts(cache) == (0, 1, 0)
    # one that just fits stays, though trimming goes further down than that
    with FeatureCache(tmp_path / "other", limit_bytes=largest + 10) as cache:
        cache.analyse(Recording(str(voices[0]), end=0.5), CONFIG)
        cache._save(entries(FeatureCache(tmp_path / "cache"))[0].stem, analyse(source, CONFIG, hash_content=True))
        assert [path.stat().st_size for path in cache.folder.iterdir()] == [largest]
        assert cache.trouble is None


def test_what_other_processes_write_counts(tmp_path: Path, voices: list[Path]) -> None:
    sources = [Recording(str(voices[0]), start=0.02 * part, end=0.02 * part + 1.0) for part in range(40)]
    limit = 100_000
    with FeatureCache(tmp_path, limit_bytes=limit) as slow, FeatureCache(tmp_path, limit_bytes=10 * limit) as greedy:
        slow.analyse(sources[0], CONFIG)
        for source in sources[1:30]:
            greedy.analyse(source, CONFIG)
        assert greedy.usage().bytes > 2 * limit
        for source in sources[30:]:  # far from the limit by what it wrote itself
            slow.analyse(source, CONFIG)
        assert slow.usage().bytes <= limit * (1 + 1 / 8)


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path, voices: list[Path]) -> None:
    with FeatureCache(tmp_path / "cache", limit_bytes=0) as cache:
        for _ in range(2):
            cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.hits == 0
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ValueError, match="-1"):
        FeatureCache(tmp_path, limit_bytes=-1)


def test_the_folder_is_not_looked_through_for_every_entry(
    tmp_path: Path, voices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    real = FeatureCache._trim
    monkeypatch.setattr(FeatureCache, "_trim", lambda cache, keep: looks.append(keep) or real(cache, keep))
    with FeatureCache(tmp_path / "cache") as cache:
        for part in range(20):
            cache.analyse(Recording(str(voices[0]), start=0.05 * part, end=0.05 * part + 0.5), CONFIG)
        assert cache.usage().entries == 20
    assert len(looks) == 1


def test_entries_that_vanish_are_misses(tmp_path: Path, voices: list[Path], settled: None) -> None:
    source = Recording(str(voices[0]))
    with FeatureCache(tmp_path / "cache") as cache:
        plain = cache.analyse(source, CONFIG)
        for path in cache.folder.iterdir():
            path.unlink()
        assert same(cache.analyse(source, CONFIG), plain)
        shutil.rmtree(tmp_path / "cache")
        assert same(cache.analyse(source, CONFIG), plain)
        assert same(cache.analyse(source, CONFIG), plain)
        assert counts(cache) == (1, 3, 0)
        assert cache.trouble is None


def test_a_cache_that_is_cleared_while_it_writes(
    tmp_path: Path, voices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._publish

    def clear_first(temporary: Path, path: Path) -> None:
        FeatureCache(tmp_path / "cache").clear()
        real(temporary, path)

    monkeypatch.setattr(module, "_publish", clear_first)
    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.trouble is None
        monkeypatch.setattr(module, "_publish", real)
        cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.usage().entries == 1


def test_what_killed_processes_left_is_removed_when_old(tmp_path: Path, voices: list[Path]) -> None:
    folder = tmp_path / "features-v1"
    folder.mkdir()
    old, new = (folder / f"{digit * 64}.{digit * 16}.tmp" for digit in "ab")
    foreign = folder / "notes.tmp"
    for path in (old, new, foreign):
        path.write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (1e9, 1e9))
    with FeatureCache(tmp_path) as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
    assert [path.exists() for path in (old, new, foreign)] == [False, True, True]


def test_clear_leaves_what_is_not_ours(tmp_path: Path, voices: list[Path], settled: None) -> None:
    theirs = [
        tmp_path / "thesis.txt", tmp_path / f"{'a' * 64}.features", tmp_path / "features-v1" / "thesis.features",
        tmp_path / "features-v1" / f"{'A' * 64}.features", tmp_path / "features-v1" / "deep" / f"{'a' * 64}.features",
    ]  # fmt: skip
    theirs[-1].parent.mkdir(parents=True)
    for path in theirs:
        path.write_text("mine", encoding="utf-8")
    link = tmp_path / "features-v1" / f"{'b' * 64}.features"
    link.symlink_to(theirs[0])
    with FeatureCache(tmp_path, limit_bytes=DEFAULT_LIMIT_BYTES) as cache:
        for path in voices:
            cache.analyse(Recording(str(path)), CONFIG)
        usage = cache.usage()
        assert usage.entries == 4
        ours = [path for path in cache.folder.iterdir() if path.is_file() and path not in theirs and path != link]
        assert usage.bytes == sum(path.stat().st_size for path in ours)
        assert cache.clear() == usage
        assert cache.usage() == cache.clear() == Usage(0, 0)
    assert all(path.read_text(encoding="utf-8") == "mine" for path in theirs)
    assert link.is_symlink()


def test_a_cleared_cache_leaves_no_folder(tmp_path: Path, voices: list[Path]) -> None:
    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.folder.stat().st_mode & 0o777 == 0o700
        cache.clear()
        assert not cache.folder.exists()
        assert (tmp_path / "cache").is_dir()


# a folder that cannot be used


def test_a_file_in_the_place_of_the_folder(tmp_path: Path, voices: list[Path]) -> None:
    place = tmp_path / "cache"
    place.write_text("mine", encoding="utf-8")
    with FeatureCache(place) as cache:
        for path in voices[:2]:
            assert same(
                cache.analyse(Recording(str(path)), CONFIG), analyse(Recording(str(path)), CONFIG, hash_content=True)
            )
        assert cache.trouble is not None
        assert "\n" not in cache.trouble
        assert str(place) in cache.trouble
        assert "SPEAKERID_CACHE" in cache.trouble
        assert counts(cache) == (0, 2, 0)
        for ask in (cache.usage, cache.clear):
            with pytest.raises(UsageError, match="SPEAKERID_CACHE names another folder") as raised:
                ask()
            assert str(place) in str(raised.value)
    assert place.read_text(encoding="utf-8") == "mine"


def test_a_full_disk_ends_the_writing_and_not_the_reading(
    tmp_path: Path, voices: list[Path], settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def full(path: Path, parts: tuple[bytes, ...]) -> None:
        tries.append(path)
        raise OSError(28, "No space left on device", str(path))

    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
        monkeypatch.setattr(module, "_write_file", full)
        for path in voices:
            cache.analyse(Recording(str(path)), CONFIG)
        assert counts(cache) == (1, 4, 0)
        assert "No space left on device" in (cache.trouble or "")
        assert len(tries) == 1


def test_half_a_file_is_taken_away(tmp_path: Path, voices: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pack", lambda key, analysis: (b"a good beginning", "no bytes"))
    with FeatureCache(tmp_path / "cache") as cache:
        with pytest.raises(TypeError):
            cache.analyse(Recording(str(voices[0])), CONFIG)
        assert list(cache.folder.iterdir()) == []


def test_a_file_that_somebody_holds_open_on_windows(
    tmp_path: Path, voices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Access is denied", str(self))

    with FeatureCache(tmp_path / "cache") as cache:
        cache.analyse(Recording(str(voices[0])), CONFIG)
        [entry] = entries(cache)
        entry.write_bytes(b"being written by somebody else")
        monkeypatch.setattr(Path, "replace", refuse)
        cache.analyse(Recording(str(voices[0])), CONFIG)
        assert cache.trouble is None
        assert [path.name for path in cache.folder.iterdir()] == [entry.name]
        cache.analyse(Recording(str(voices[1])), CONFIG)
        assert "Access is denied" in (cache.trouble or "")


def test_a_limit_that_cannot_be_kept_is_said(
    tmp_path: Path, voices: list[Path], settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    with FeatureCache(tmp_path / "cache", limit_bytes=30_000) as cache:
        monkeypatch.setattr(Path, "unlink", refuse)
        for path in voices:
            cache.analyse(Recording(str(path)), CONFIG)
        assert "older files cannot be removed" in (cache.trouble or "")
        with pytest.raises(UsageError, match="cannot be cleared: Permission denied"):
            cache.clear()


# temporary caches


def test_a_temporary_cache_goes_with_its_object(voices: list[Path], settled: None) -> None:
    with FeatureCache.temporary() as cache:
        source = Recording(str(voices[0]))
        assert same(cache.analyse(source, CONFIG), cache.analyse(source, CONFIG))
        assert counts(cache) == (1, 1, 0)
        assert cache.usage().entries == 1
    assert not cache.folder.parent.exists()
    cache.close()
    cache.analyse(source, CONFIG)  # still right, but nothing is kept
    assert counts(cache) == (1, 1, 0)
    assert not cache.folder.parent.exists()


# at the same time


def test_many_threads_on_one_object(tmp_path: Path, sample: Path) -> None:
    paths = sorted((sample / "test").glob("*.flac"))
    plain = {path: analyse(Recording(str(path)), CONFIG, hash_content=True) for path in paths}
    work = paths * 6
    with FeatureCache(tmp_path) as cache, ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda path: cache.analyse(Recording(str(path)), CONFIG), work)
        assert all(same(plain[path], result) for path, result in zip(work, results, strict=True))
        assert cache.hits + cache.misses == len(work)
        assert cache.misses >= len(paths)
        assert (cache.damaged, cache.trouble) == (0, None)
        assert cache.usage().entries == len(paths)
    assert not list(cache.folder.glob("*.tmp"))


PROCESS = """
import sys, zlib
from pathlib import Path
from speakerid.audio import Recording
from speakerid.config import FrontEndConfig
from speakerid.workflows.cache import FeatureCache
folder, limit, *paths = sys.argv[1:]
with FeatureCache(folder, limit_bytes=int(limit)) as cache:
    print("ready", flush=True)
    sys.stdin.readline()
    for part in range(5):
        for path in paths:
            found = cache.analyse(Recording(path, start=0.1 * part), FrontEndConfig())
            print(path, part, found.content_hash, zlib.crc32(found.static.cepstra.tobytes()), len(found.static))
    assert cache.trouble is None and cache.damaged == 0, (cache.trouble, cache.damaged)
"""


@pytest.mark.parametrize("limit", [DEFAULT_LIMIT_BYTES, 150_000], ids=["room for all", "each trims the other's"])
def test_processes_in_one_folder(
    tmp_path: Path, sample: Path, start_python: Callable[..., subprocess.Popen[str]], limit: int
) -> None:
    paths = sorted((sample / "test").glob("*.flac"))[:6]
    children = [start_python(PROCESS, tmp_path, limit, *paths) for _ in range(3)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    answers = []
    for child in children:  # all at once
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        out, err = child.communicate(timeout=120)
        assert (child.returncode, err) == (0, "")
        answers.append(out)
    assert answers[0] == answers[1] == answers[2]
    assert len(answers[0].splitlines()) == 30
    with FeatureCache(tmp_path, limit_bytes=limit) as cache:
        assert 0 < cache.usage().bytes <= limit * (1 + 3 / 8)
        for path in paths:
            source = Recording(str(path), start=0.4)
            assert same(cache.analyse(source, CONFIG), analyse(source, CONFIG, hash_content=True))
        assert cache.damaged == 0


# where and how large


def test_the_environment_names_folder_and_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEAKERID_CACHE", str(tmp_path))
    monkeypatch.setenv("SPEAKERID_CACHE_LIMIT", "500 MB")
    assert (default_cache_folder(), default_cache_limit()) == (tmp_path, 500_000_000)
    with FeatureCache.from_environment() as cache:
        assert (cache.folder, cache.limit_bytes) == (tmp_path / "features-v1", 500_000_000)
    monkeypatch.setenv("SPEAKERID_CACHE_LIMIT", "lots")
    with pytest.raises(UsageError, match=r"^SPEAKERID_CACHE_LIMIT: 'lots' is no size: .*500MB"):
        default_cache_limit()
    for name in ("SPEAKERID_CACHE", "SPEAKERID_CACHE_LIMIT"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_limit() == DEFAULT_LIMIT_BYTES == 2_000_000_000
    assert default_cache_folder().name in ("speakerid", "Cache")


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("0", 0), ("0B", 0), ("500MB", 500_000_000), ("2GB", 2_000_000_000), (" 1.5 gb ", 1_500_000_000),
        ("1kB", 1000), ("1KiB", 1024), ("2 GiB", 2 << 30), ("1TB", 10**12), ("7b", 7), ("0.1MB", 100_000),
    ],
)  # fmt: skip
def test_sizes(text: str, n_bytes: int) -> None:
    assert parse_size(text) == n_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "MB",
        "-1MB",
        "1e9B",
        "1,5GB",
        "1 000MB",
        "infB",
        "nanGB",
        "2G",
        "1XB",
        "٣MB",
        "1MB\n1MB",
        "9" * 40 + "B",
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_size(text)
    assert "\n" not in str(raised.value)


@given(st.integers(0, 10**15 - 1))
def test_a_number_of_bytes_goes_round(n_bytes: int) -> None:
    assert parse_size(f"{n_bytes}B") == n_bytes
    assert parse_size(f"{n_bytes / 1000:.3f}kB") == n_bytes or n_bytes > 10**14


@given(st.integers(0, 999_999), st.sampled_from([("k", 1), ("M", 2), ("G", 3), ("T", 4)]), st.booleans())
def test_units_are_powers(number: int, unit: tuple[str, int], binary: bool) -> None:
    prefix, power = unit
    assert parse_size(f"{number}{prefix}{'i' if binary else ''}B") == number * (1024 if binary else 1000) ** power


@given(st.integers(0, 10**15 - 1))
def test_a_size_for_people_can_be_read_back(n_bytes: int) -> None:
    text = format_size(n_bytes)
    assert len(text) <= 8
    assert abs(parse_size(text) - n_bytes) <= n_bytes * 0.005
    assert format_size(parse_size(text)) == text


@given(st.text(max_size=60))
def test_any_text_is_a_size_or_refused_in_one_line(text: str) -> None:
    try:
        n_bytes = parse_size(text)
    except UsageError as error:
        refusal = str(error)
    else:
        assert n_bytes >= 0
        return
    assert len(refusal.splitlines()) == 1
