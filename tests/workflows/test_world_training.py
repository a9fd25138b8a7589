"""Training a world model: the same mixture as EM in memory, whatever comes between, and nothing left behind."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from speakerid.audio import Recording
from speakerid.config import Config, DecisionConfig, FrontEndConfig, TrainingConfig
from speakerid.errors import UsageError
from speakerid.frontend import finish
from speakerid.mixtures import GaussianMixture, accumulate, split_components, train
from speakerid.store import World, read_world
from speakerid.workflows import world_work as workflow
from speakerid.workflows.analysis import analyse_for_training
from speakerid.workflows.world import WorldReport, gather_for_world, train_world

CONFIG = Config()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class StoppedError(Exception):
    """What a test throws into a training."""


@pytest.fixture(scope="module")
def some(small: Path) -> list[Recording]:
    """Nine recordings of three voices: 37 s of speech."""
    return gather_for_world([str(small)]).recordings


@pytest.fixture
def make(tmp_path: Path, some: list[Recording]) -> Callable[..., WorldReport]:
    """Train one of eight components."""

    def call(recordings: list[Recording] | None = None, config: Config = CONFIG, **options: Any) -> WorldReport:
        settings: dict[str, Any] = {"components": 8, "jobs": 1, "output": tmp_path / "w.gmm"} | options
        return train_world(recordings or some, config, **settings)

    return call


def frames_of(recordings: list[Recording], front_end: FrontEndConfig = CONFIG.front_end) -> NDArray[np.float32]:
    """All speech frames in memory, in the order of the recordings."""
    analyses = [analyse_for_training(r, front_end, channel=None, minimum_seconds=0.1) for r in recordings]
    return np.concatenate([finish(a.static, front_end).speech_values for a in analyses])  # type: ignore[union-attr]


def in_memory(frames: NDArray[np.float32], components: int, iterations: int = 20) -> GaussianMixture:
    """Split, three iterations, split again; with all components in portions of five until it stands still."""

    def em(mixture: GaussianMixture, n: int) -> tuple[GaussianMixture, int, bool]:
        settings = TrainingConfig(
            components=mixture.n_components, iterations=n, variance_floor=0.01, minimum_frames_per_component=1
        )
        trained, record = train(frames, settings, start=mixture)
        return trained, len(record.log_likelihoods) - 1, record.converged

    variance = frames.astype(np.float64).var(axis=0)
    mixture = GaussianMixture([1.0], [frames.astype(np.float64).mean(axis=0)], [variance])
    while mixture.n_components < components:
        mixture = split_components(mixture, components)
        if mixture.n_components < components:
            mixture, _n, _converged = em(mixture, 3)
    done, converged = 0, components == 1
    while done < iterations and not converged:
        mixture, n, converged = em(mixture, min(5, iterations - done))
        done += n
    return mixture


def assert_same(world: World, mixture: GaussianMixture) -> None:
    # the one Gaussian of the beginning is computed otherwise here, and EM carries the last digits on
    np.testing.assert_allclose(world.mixture.weights, mixture.weights, rtol=1e-3)
    np.testing.assert_allclose(world.mixture.means, mixture.means, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(world.mixture.covariances, mixture.covariances, rtol=2e-3)


# what is trained


@pytest.mark.parametrize("components", [1, 2, 8, 11])
def test_the_same_as_in_memory(make: Callable[..., WorldReport], some: list[Recording], components: int) -> None:
    frames = frames_of(some)
    report = make(components=components)
    assert report.world.mixture.n_components == components
    expected = in_memory(frames, components)
    assert_same(report.world, expected)
    about = report.world.about
    assert (about["recordings"], about["frames"]) == (9, len(frames))
    assert about["speech_seconds"] == pytest.approx(len(frames) / 100)
    assert about["log_likelihood"] == pytest.approx(accumulate(expected, frames).mean_log_likelihood, abs=1e-3)
    assert (report.problems, report.duplicates, report.resumed) == ([], 0, False)


def test_iterations_are_a_limit(make: Callable[..., WorldReport], some: list[Recording]) -> None:
    report = make(iterations=7)
    assert_same(report.world, in_memory(frames_of(some), 8, iterations=7))
    assert report.world.digest != make().world.digest


def test_more_iterations_are_likelier(make: Callable[..., WorldReport]) -> None:
    values = [make(iterations=n).world.about["log_likelihood"] for n in (1, 4, 12)]
    assert values == sorted(values)
    assert values[0] < values[2]


def test_jobs_do_not_matter(make: Callable[..., WorldReport]) -> None:
    assert len({make(jobs=jobs).world.digest for jobs in (1, 2, 3)}) == 1


def test_few_recordings_are_in_memory_at_a_time(
    make: Callable[..., WorldReport], some: list[Recording], whole: WorldReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long ones only as many as there are workers, short ones in portions of some megabytes."""
    real, sizes = workflow.map_in_order, []

    def counted(function: Any, items: list[Recording], jobs: int) -> Any:
        sizes.append(len(items))
        return real(function, items, jobs)

    monkeypatch.setattr(workflow, "map_in_order", counted)
    for limit, expected in ((1, [2, 2, 2, 2, 1]), (64 << 20, [9])):
        monkeypatch.setattr(workflow, "_BATCH_BYTES", limit)
        assert make(jobs=2).world.digest == whole.world.digest
        assert sizes == expected
        sizes.clear()
    monkeypatch.setattr(workflow, "_BATCH_BYTES", 4 * 32_000)
    stretches = [Recording(some[i % 9].path, start=0.1 * (i // 9), end=0.1 * (i // 9) + 1.0) for i in range(18)]
    make(stretches, jobs=2, components=2)
    assert sizes == [4, 4, 4, 4, 2]


def test_the_file_is_the_report_and_nothing_else_is_left(make: Callable[..., WorldReport], tmp_path: Path) -> None:
    report = make(licence="ours")
    world = read_world(tmp_path / "w.gmm")
    assert world.to_bytes() == report.world.to_bytes()
    assert world.front_end == CONFIG.front_end
    assert world.about["licence"] == "ours"
    assert names(tmp_path) == ["w.gmm"]


def test_the_hash_of_the_list_is_of_the_audio(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path
) -> None:
    hashes = [make(recordings).world.about["list_sha256"] for recordings in (some, some[::-1], some[:-1])]
    copies = []
    for number, recording in enumerate(some):
        copies.append(Recording(str(tmp_path / f"{number}.flac")))
        shutil.copyfile(recording.path, copies[-1].path)
    hashes.append(make(copies).world.about["list_sha256"])
    assert hashes[0] == hashes[1] == hashes[3]
    assert hashes[0] != hashes[2]


def test_other_features(make: Callable[..., WorldReport], some: list[Recording]) -> None:
    front_end = FrontEndConfig(cepstra=13, deltas=0, c0="drop")
    report = make(config=Config(front_end=front_end), components=2)
    assert report.world.mixture.n_features == 12
    assert_same(report.world, in_memory(frames_of(some, front_end), 2))


def test_components_that_lose_their_frames_end_the_growth(
    make: Callable[..., WorldReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[GaussianMixture] = []

    def losing(X: NDArray[np.float32], settings: TrainingConfig, **options: Any) -> Any:
        mixture, record = train(X, settings, **options)
        if mixture.n_components <= 4:
            kept.append(mixture)
        return kept[-1], record

    monkeypatch.setattr(workflow, "train", losing)
    # not for ever, if it does not end
    report = make(components=16, trained=stop_after(20))
    assert report.world.mixture.n_components == 4


# what cannot be used


def test_duplicates_count_once(make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path) -> None:
    shutil.copyfile(some[2].path, tmp_path / "copy.flac")
    report = make([*some, some[0], Recording(str(tmp_path / "copy.flac"))])
    assert report.duplicates == 2
    assert report.world.about["recordings"] == 9
    assert report.world.digest == make().world.digest


def test_what_cannot_be_read_is_a_problem(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path, bad_inputs: dict[str, Path]
) -> None:
    bad = [Recording(str(bad_inputs[kind])) for kind in ("text", "empty", "silence", "missing", "clip")]
    report = make([bad[0], *some[:5], *bad[1:], *some[5:]])
    assert [p.path for p in report.problems] == [r.path for r in bad]
    assert [p.reason for p in report.problems] == ["unreadable", "empty", "no_speech", "unreadable", "too_short"]
    assert report.duplicates == 0
    assert report.world.digest == make().world.digest


def test_nothing_that_can_be_used(
    make: Callable[..., WorldReport], tmp_path: Path, bad_inputs: dict[str, Path]
) -> None:
    with pytest.raises(UsageError, match=r"none of 2 recordings can be used: .*text\.wav: not an audio file") as caught:
        make([Recording(str(bad_inputs[kind])) for kind in ("text", "silence")])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "w.gmm.work").exists()
    assert not (tmp_path / "w.gmm").exists()


def test_too_little_speech_is_one_line_and_the_frames_are_of_use(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path
) -> None:
    n = len(frames_of(some))
    most = n // 50
    with pytest.raises(UsageError) as caught:
        make(components=most + 1)
    needed = (most + 1) / 2
    assert str(caught.value) == (
        f"{most + 1} components need {needed:.0f} s of speech at least, and there are {n / 100:.0f} s: "
        f"use more recordings or fewer components; the analysis is kept in {tmp_path / 'w.gmm.work'}: "
        f"with --components {most} or less it goes on at once"
    )
    report = make(components=4)
    assert report.resumed
    assert report.world.mixture.n_components == 4


def test_too_little_speech_for_any_model_keeps_nothing(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"2 components need 1 s of speech .* use more recordings$"):
        make(
            [Recording(some[0].path, start=1.0, end=1.3)],
            components=2,
            config=Config(decision=DecisionConfig(minimum_speech_seconds=0.1)),
        )
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_written_costs_no_work(
    make: Callable[..., WorldReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("speakerid.workflows.world.write_world", full)
        with pytest.raises(OSError, match="No space left"):
            make()
    assert (tmp_path / "w.gmm.work").exists()
    report = make()
    assert report.resumed
    assert names(tmp_path) == ["w.gmm"]


# going on


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, some: list[Recording]) -> WorldReport:
    """The training that nobody disturbed."""
    path = tmp_path_factory.mktemp("whole") / "w.gmm"
    return train_world(some, CONFIG, output=path, components=8, jobs=1)


def stop_after(count: int) -> Callable[..., None]:
    calls = itertools.count(1)

    def callback(*_done: int) -> None:
        if next(calls) == count:
            raise StoppedError

    return callback


def test_stopped_after_each_recording(make: Callable[..., WorldReport], whole: WorldReport, tmp_path: Path) -> None:
    for n in range(1, 10):
        with pytest.raises(StoppedError):
            make(analysed=stop_after(1))
        assert not (tmp_path / "w.gmm").exists()
        journal = (tmp_path / "w.gmm.work" / "speakerid-frames.jsonl").read_text(encoding="utf-8")
        assert journal.count("\n") == 1 + n  # one more each time: what was done is not done again
    done: list[int] = []
    report = make(analysed=done.append)
    assert (done, report.resumed) == ([], True)
    assert report.world.digest == whole.world.digest
    assert {**report.world.about, "created": ""} == {**whole.world.about, "created": ""}
    assert names(tmp_path) == ["w.gmm"]


def test_stopped_after_each_step(make: Callable[..., WorldReport], whole: WorldReport, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    make(trained=lambda *step: steps.append(step))
    assert [k for k, _n in steps[:3]] == [2, 4, 8]
    assert len(steps) >= 4
    (tmp_path / "w.gmm").unlink()
    for count in range(1, len(steps) + 1):
        with pytest.raises(StoppedError):
            make(trained=stop_after(count))
        report = make()
        assert report.resumed
        assert report.world.digest == whole.world.digest
        assert report.world.about["log_likelihood"] == whole.world.about["log_likelihood"]
        assert names(tmp_path) == ["w.gmm"]


def test_stopped_at_every_step_in_turn(make: Callable[..., WorldReport], whole: WorldReport) -> None:
    """The second call: a step is only kept when it is told, so each call stopped at its second step gets on by one."""
    for _attempt in range(20):
        try:
            report = make(trained=stop_after(2))
        except StoppedError:
            continue
        break
    assert report.resumed
    assert report.world.digest == whole.world.digest


def test_problems_and_duplicates_of_the_earlier_run_are_told(
    make: Callable[..., WorldReport], some: list[Recording], bad_inputs: dict[str, Path]
) -> None:
    recordings = [some[0], Recording(str(bad_inputs["text"])), *some, Recording(str(bad_inputs["silence"]))]
    expected = make(recordings)
    with pytest.raises(StoppedError):
        make(recordings, analysed=stop_after(4))
    report = make(recordings)
    assert report.resumed
    assert report.problems == expected.problems
    assert len(report.problems) == 2
    assert (report.duplicates, expected.duplicates) == (1, 1)
    assert report.world.digest == expected.world.digest


@pytest.mark.parametrize("moment", ["analysed", "trained"])
@pytest.mark.parametrize(
    "other",
    [
        {"recordings": slice(0, 7)},
        {"recordings": slice(None, None, -1)},
        {"config": Config(front_end=FrontEndConfig(mel_bands=30))},
        {"config": Config(front_end=FrontEndConfig(deltas=0))},
        {"components": 6},
        {"iterations": 3},
        {"variance_floor": 0.05},
    ],
    ids=str,
)
def test_another_task_does_not_go_on_with_it(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path, moment: str, other: dict[str, Any]
) -> None:
    if "recordings" in other:
        other = {"recordings": some[other["recordings"]]}
    expected = make(**other, output=tmp_path / "undisturbed.gmm")
    with pytest.raises(StoppedError):
        make(**{moment: stop_after(3)})
    report = make(**other)
    assert report.world.digest == expected.world.digest
    assert report.world.about["list_sha256"] == expected.world.about["list_sha256"]


def test_a_file_that_was_written_again_is_read_again(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path
) -> None:
    mine = Recording(str(tmp_path / "mine.flac"))
    shutil.copyfile(some[0].path, mine.path)
    with pytest.raises(StoppedError):
        make([mine, *some[2:]], trained=stop_after(3))
    shutil.copyfile(some[1].path, mine.path)
    os.utime(mine.path, ns=(1, 1))
    assert make([mine, *some[2:]]).world.digest == make(some[1:]).world.digest


def without_line(data: bytes, number: int) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:number] + lines[number + 1 :])


def with_nan(data: bytes) -> bytes:
    array = np.frombuffer(data, np.float32).copy()
    array[len(array) // 2] = np.nan
    return array.tobytes()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("speakerid-frames.f32", lambda data: data[:-1000]),
        ("speakerid-frames.f32", with_nan),
        ("speakerid-frames.f32", lambda data: bytes([data[0] ^ 1]) + data[1:]),
        ("speakerid-frames.f32", lambda data: data[-160:] + data[160:-160] + data[:160]),
        ("speakerid-frames.f32", lambda data: data + b"half a recording"),
        ("speakerid-frames.f32", None),
        ("speakerid-frames.jsonl", lambda data: data[:-20]),
        ("speakerid-frames.jsonl", lambda data: data[:20]),
        ("speakerid-frames.jsonl", lambda data: b""),
        ("speakerid-frames.jsonl", lambda data: data + b'{"content_hash'),
        ("speakerid-frames.jsonl", lambda data: data + b"[]\n"),
        ("speakerid-frames.jsonl", lambda data: data + b"7\n"),
        ("speakerid-frames.jsonl", lambda data: data + b"[" * 100_000 + b"\n"),
        ("speakerid-frames.jsonl", lambda data: data + data.splitlines(keepends=True)[-1]),
        ("speakerid-frames.jsonl", lambda data: without_line(data, 3)),
        ("speakerid-frames.jsonl", lambda data: data.replace(b'"frames": ', b'"frames": 1', 1)),
        ("speakerid-frames.jsonl", lambda data: data.replace(b'"problem": null', b'"problem": {}', 1)),
        ("speakerid-frames.jsonl", lambda data: b"\xff\x00" + data),
        ("speakerid-frames.jsonl", None),
        ("speakerid-mixture.json", lambda data: data[: len(data) // 2]),
        ("speakerid-mixture.json", lambda data: b"[1, 2]"),
        ("speakerid-mixture.json", lambda data: data.replace(b'"means": [[', b'"means": [[NaN, ')),
        ("speakerid-mixture.json", lambda data: data.replace(b'"means": [[', b'"means": [[1')),
        ("speakerid-mixture.json", lambda data: data.replace(b'"iterations": ', b'"iterations": 1')),
        ("speakerid-mixture.json", lambda data: data.replace(b'"digest": "', b'"digest": "0')),
        ("speakerid-mixture.json", lambda data: b'{"a":' * 100_000),
        ("speakerid-mixture.json", None),
        ("speakerid-mixture.partial", lambda data: b"half"),
    ],
)
def test_half_written_leftovers_are_not_believed(
    make: Callable[..., WorldReport],
    whole: WorldReport,
    tmp_path: Path,
    name: str,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    with pytest.raises(StoppedError):
        make(trained=stop_after(3))
    path = tmp_path / "w.gmm.work" / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes() if path.exists() else b""))
    assert make().world.digest == whole.world.digest
    assert names(tmp_path) == ["w.gmm"]


def test_what_is_before_the_damage_is_believed(
    make: Callable[..., WorldReport], whole: WorldReport, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        make(trained=stop_after(1))
    work = tmp_path / "w.gmm.work"
    lines = (work / "speakerid-frames.jsonl").read_text(encoding="utf-8").splitlines()
    before = sum(json.loads(line)["frames"] for line in lines[1:5])
    with (work / "speakerid-frames.f32").open("r+b") as file:
        file.seek(160 * before)  # the fifth recording
        file.write(b"\0\0\0\0")
    done: list[int] = []
    assert make(analysed=done.append).world.digest == whole.world.digest
    assert done == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": -1},
        {"frames": 0.0},
        {"frames": True},
        {"frames": 10**30},
        {"content_hash": None},
        {"problem": "none"},
        {"problem": {"path": "a", "reason": "empty"}},
        {"problem": {"path": "a", "reason": "empty", "message": 3}},
    ],
    ids=str,
)
def test_a_line_of_other_types_is_not_believed_whatever_its_digest(
    make: Callable[..., WorldReport], whole: WorldReport, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(StoppedError):
        make(analysed=stop_after(1))
    journal = tmp_path / "w.gmm.work" / "speakerid-frames.jsonl"
    head, first = (json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines())
    entry = {key: value for key, value in first.items() if key != "digest"}
    frames = (tmp_path / "w.gmm.work" / "speakerid-frames.f32").read_bytes()

    def text(entry: dict[str, Any]) -> str:
        line = json.dumps(entry) + "\n"
        digest = hashlib.blake2b(head["task"].encode() + line.encode() + frames, digest_size=16).hexdigest()
        return json.dumps(head) + "\n" + json.dumps(entry | {"digest": digest}) + "\n"

    assert text(entry) == journal.read_text(encoding="utf-8")
    journal.write_text(text(entry | wrong), encoding="utf-8")
    report = make()
    assert not report.resumed
    assert report.world.digest == whole.world.digest


def test_what_a_kill_left_half_written_is_removed(make: Callable[..., WorldReport], tmp_path: Path) -> None:
    """One component is done at once, so nothing else is written over it."""
    (tmp_path / "w.gmm.work").mkdir()
    (tmp_path / "w.gmm.work" / "speakerid-mixture.partial").write_bytes(b"half")
    make(components=1)
    assert names(tmp_path) == ["w.gmm"]


def test_the_users_own_files_stay(make: Callable[..., WorldReport], tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("frames.json", "mixture.json", "frames.f32", "a.wav"):
        (folder / name).write_text("mine", encoding="utf-8")
    make(work_folder=folder)
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == dict.fromkeys(
        ("frames.json", "mixture.json", "frames.f32", "a.wav"), "mine"
    )


CHILD = """
import itertools, sys
from speakerid.workflows import world_work as world
moment, count = sys.argv[1], int(sys.argv[2])
calls = itertools.count(1)
def waiting(real):
    def call(*arguments):
        result = real(*arguments)
        if next(calls) == count:
            print("there", flush=True)
            sys.stdin.readline()
        return result
    return call
if moment == "analysis":
    world.finish = waiting(world.finish)
else:
    world.WorldWork._keep = waiting(world.WorldWork._keep)
sys.argv = ["speakerid", *sys.argv[3:]]
from speakerid.cli import main
main()
"""


@pytest.mark.parametrize(("moment", "count", "lines"), [("analysis", 4, 4), ("training", 1, 10), ("training", 3, 10)])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_stopped(
    moment: str,
    count: int,
    lines: int,
    how: signal.Signals,
    tmp_path: Path,
    small: Path,
    start_python: Callable[..., Any],
    run: Callable[..., Any],
    whole: WorldReport,
) -> None:
    arguments = ("world", "train", small, "--components", 8, "--output", tmp_path / "w.gmm", "--jobs", 1)
    with start_python(CHILD, moment, count, *arguments) as child:
        assert child.stdout.readline() == "there\n"
        child.send_signal(how)
        _out, err = child.communicate(timeout=60)
    if how == signal.SIGINT:
        told = f"stopped; what is done is kept in {tmp_path / 'w.gmm.work'}; the same command goes on"
        assert (child.returncode, err.lstrip()) == (130, f"speakerid: {told}\n")
    else:
        assert child.returncode == -signal.SIGKILL
    work = tmp_path / "w.gmm.work"
    assert not (tmp_path / "w.gmm").exists()
    assert (work / "speakerid-frames.jsonl").read_text(encoding="utf-8").count("\n") == lines
    assert (work / "speakerid-mixture.json").exists() == (moment == "training")
    again = run(*arguments)
    assert (again.status, again.err) == (0, "went on with an earlier run\n")
    assert read_world(tmp_path / "w.gmm").digest == whole.world.digest
    assert names(tmp_path) == ["w.gmm"]


def test_two_processes_do_not_share_a_work_folder(
    tmp_path: Path, small: Path, start_python: Callable[..., Any], run: Callable[..., Any], whole: WorldReport
) -> None:
    work = tmp_path / "work"
    first = ("world", "train", small, "--components", 8, "--output", tmp_path / "w.gmm", "--work-folder", work)
    second = ("world", "train", small, "--components", 4, "--output", tmp_path / "v.gmm", "--work-folder", work)
    with start_python(CHILD, "analysis", 4, *first, "--jobs", 1) as child:
        assert child.stdout.readline() == "there\n"
        before = {path.name: path.read_bytes() for path in work.iterdir()}
        refused = run(*second)
        assert (refused.status, refused.out, refused.err) == (
            2, "", f"speakerid: another training uses {work}; wait for it or give another --work-folder\n",
        )  # fmt: skip
        assert {path.name: path.read_bytes() for path in work.iterdir()} == before
        assert run(*second[:-1], tmp_path / "other").status == 0
        _out, err = child.communicate("go on\n", timeout=60)
    assert (child.returncode, err.strip()) == (0, "")
    assert read_world(tmp_path / "w.gmm").digest == whole.world.digest
    assert names(tmp_path) == ["v.gmm", "w.gmm"]
    assert run(*second, "--force").status == 0


def test_a_lock_that_was_removed_meanwhile_is_the_lock_of_nobody(
    make: Callable[..., WorldReport], whole: WorldReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another training ends between the opening and the locking of its file."""
    real, locked = workflow._lock, []

    def late(number: int) -> None:
        if not locked:
            shutil.rmtree(tmp_path / "w.gmm.work")
        real(number)
        locked.append(number)

    monkeypatch.setattr(workflow, "_lock", late)
    seen: list[bool] = []
    report = make(analysed=lambda _n: seen.append((tmp_path / "w.gmm.work" / "speakerid-lock").exists()))
    assert (len(locked), set(seen)) == (2, {True})
    assert report.world.digest == whole.world.digest
    assert names(tmp_path) == ["w.gmm"]


def test_where_files_cannot_be_locked(
    make: Callable[..., WorldReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_number: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(workflow, "_lock", never)
    with pytest.raises(UsageError, match=r"work: cannot be locked \(no locks available\); give another --work-folder"):
        make()


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_name_in_the_work_folder_that_is_no_file(
    make: Callable[..., WorldReport], some: list[Recording], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "work" / "speakerid-frames.f32"
    path.parent.mkdir()
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    {"pipe": os.mkfifo, "link": lambda p: p.symlink_to(tmp_path / "mine"), "folder": Path.mkdir}[kind](path)
    with pytest.raises(
        UsageError, match=r"frames\.f32: is not a regular file; remove it or give another --work-folder"
    ):
        make(work_folder=path.parent)
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.argv = ["speakerid", *sys.argv[2:]]
from speakerid.cli import main
main()
"""


@pytest.mark.parametrize(
    ("most", "components", "analysed", "name"),
    [
        (0, 8, False, "w.gmm.work/speakerid-frames.jsonl"),
        (400_000, 8, False, "w.gmm.work/speakerid-frames.f32"),
        (1000, 8, True, "w.gmm.work/speakerid-mixture.partial"),
        (1000, 1, True, "w.gmm"),
    ],
)
def test_a_disk_that_is_full_is_told_with_the_file(
    most: int,
    components: int,
    analysed: bool,
    name: str,
    tmp_path: Path,
    small: Path,
    make: Callable[..., WorldReport],
    python: Callable[..., Any],
    run: Callable[..., Any],
) -> None:
    """Here the files may not be larger than so much, which the system tells in the same way."""
    arguments = ("world", "train", str(small), "--components", str(components), "-o", str(tmp_path / "w.gmm"))
    if analysed:
        with pytest.raises(StoppedError):
            make(gather_for_world([str(small)]).recordings, analysed=stop_after(9))
    outcome = python(FULL, str(most), *arguments, "--jobs", "1")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"speakerid: {tmp_path / name}: File too large\n"
    again = run(*arguments)
    assert (again.status, again.err) == (0, "" if most == 0 else "went on with an earlier run\n")
    assert names(tmp_path) == ["w.gmm"]


# finding


def test_files_folders_and_all_rows_of_manifests(small: Path, tmp_path: Path) -> None:
    files = sorted(small.glob("Tom/*.flac"))
    with (tmp_path / "m.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "speaker", "split", "start", "end"])
        writer.writerow([files[0], "Tom", "enroll", "0", "1"])
        writer.writerow([files[0], "", "test", "1", ""])
    gathered = gather_for_world([str(tmp_path / "m.csv"), str(files[1]), str(small / "Alice")])
    assert [(r.path, r.start, r.end) for r in gathered.recordings[:3]] == [
        (str(files[0]), 0.0, 1.0), (str(files[0]), 1.0, None), (str(files[1]), None, None),
    ]  # fmt: skip
    assert len(gathered.recordings) == 6


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        gather_for_world([str(tmp_path)])
    with pytest.raises(UsageError):
        gather_for_world([str(tmp_path / "missing.csv")])


def test_two_stretches_of_a_file_are_two_recordings(make: Callable[..., WorldReport], some: list[Recording]) -> None:
    path = some[0].path
    halves = [Recording(path, start=0.0, end=2.0), Recording(path, start=2.0), Recording(path, start=0.0, end=2.0)]
    report = make(halves, components=2)
    assert (report.world.about["recordings"], report.duplicates) == (2, 1)
