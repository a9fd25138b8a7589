"""`listen`, and the printing of answers while the sound still comes; the microphone and the engine are invented."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from speakerid.audio import microphone as audio
from speakerid.audio.live import LiveSource, LiveStream
from speakerid.audio.microphone import InputDevice
from speakerid.audio.readers import DecodeFault
from speakerid.cli import follow as following
from speakerid.cli import listen as listening_command
from speakerid.cli.follow import Listening, follow, print_events, summary
from speakerid.cli.listen import LevelMeter, listen
from speakerid.cli.main import cli
from speakerid.errors import MissingExtraError, RecordingError
from speakerid.workflows.timeline import Beginning, Segment, Timeline

ALICE = Segment(12.44, 17.9, "alice", "identified", "alice", 5.1649999, 0.97123456, 4.2)
NOBODY = Segment(59.96, 3605.0, None, "unknown", "bob", -3.0, 0.9995, 2.0)
SHORT = Segment(3.0, 3.2, None, "undecided", None, None, None, 0.1, "too_short")
EVENTS = [Beginning(12.44, "alice"), ALICE, Beginning(59.96, None), NOBODY, SHORT]


@dataclass
class Engine:
    """Says once a second that alice has begun, and the second after that she has ended."""

    rate: int = 16000
    heard: int = 0
    segments: list[Segment] = field(default_factory=list)
    pushed: list[int] = field(default_factory=list)
    on_push: Callable[[], object] = lambda: None
    finished: int = 0

    def push(self, samples: np.ndarray) -> list[Segment | Beginning]:
        assert samples.dtype == np.float32
        self.pushed.append(len(samples))
        before, self.heard = self.heard // self.rate, self.heard + len(samples)
        self.on_push()
        events: list[Segment | Beginning] = []
        for second in range(before + 1, self.heard // self.rate + 1):
            if second % 2:
                events.append(Beginning(float(second), "alice"))
            else:
                self.segments.append(
                    Segment(second - 1.0, float(second), "alice", "identified", "alice", 2.0, 0.9, 1.0)
                )
                events.append(self.segments[-1])
        return events

    def finish(self) -> Timeline:
        self.finished += 1
        seconds = self.heard / self.rate
        if seconds % 2:
            self.segments.append(Segment(seconds - 0.5, seconds, None, "unknown", "alice", -1.0, 0.8, 0.4))
        return Timeline("x", "undecided", None, None, None, seconds, 1.0, ("alice",), tuple(self.segments))


def printed(capsys: Any, layout: str, **options: Any) -> list[str]:
    assert print_events(EVENTS, layout, **options) == 3
    return capsys.readouterr().out.splitlines()


def test_events_for_people(capsys: Any) -> None:
    assert printed(capsys, "table") == [
        "0:12.4  alice",
        "0:12.4 - 0:17.9  alice  97.1 %  LLR 5.2",
        "1:00.0  unknown",
        "1:00.0 - 1:00:05.0  unknown (nearest: bob)  > 99.9 %  LLR -3.0",
        "0:03.0 - 0:03.2  undecided: too short",
    ]


def test_events_for_programs(capsys: Any) -> None:
    lines = [json.loads(line) for line in printed(capsys, "json")]
    assert [line["event"] for line in lines] == ["beginning", "segment", "beginning", "segment", "segment"]
    assert lines[0] == {"event": "beginning", "start": 12.44, "speaker": "alice"}
    assert lines[2]["speaker"] is None
    assert lines[1] == {
        "event": "segment", "start": 12.44, "end": 17.9, "status": "identified", "decision": "alice", "nearest": "alice",
        "llr": 5.165, "probability": 0.971235, "speech_seconds": 4.2, "reason": None,
    }  # fmt: skip


def test_layouts_of_files_have_segments_only(capsys: Any) -> None:
    rttm = printed(capsys, "rttm", path="microphone")
    assert rttm[0] == "SPEAKER microphone 1 12.440 5.460 <NA> <NA> alice <NA> <NA>"
    assert len(rttm) == 3
    assert printed(capsys, "audacity")[2].split("\t") == ["3.000000", "3.200000", "undecided"]
    rows = printed(capsys, "csv", path="a,b")
    assert len(rows) == 3
    assert rows[1].startswith('"a,b",59.96,3605.0,unknown,,bob,')


def test_every_event_is_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(io.StringIO):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    for layout in following.LAYOUTS:
        out = Watched()
        monkeypatch.setattr(sys, "stdout", out)
        print_events(EVENTS, layout)
        assert out.flushes >= 3
        assert out.getvalue()


def blocks(*lengths: int) -> list[np.ndarray]:
    return [np.zeros(n, np.float32) for n in lengths]


@pytest.mark.parametrize("layout", following.LAYOUTS)
def test_what_the_end_closes_is_printed_once(capsys: Any, layout: str) -> None:
    engine = Engine()
    with Listening() as listening:
        timeline = follow(blocks(16000, 16000, 16000), engine, layout, listening=listening)
    assert (engine.pushed, engine.finished, len(timeline.segments)) == ([16000] * 3, 1, 2)
    assert (listening.stopped, listening.fault) == (False, None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == {"csv": 3, "rttm": 2, "audacity": 2, "json": 5}.get(layout, 4)
    if layout == "csv":
        assert lines[0].startswith("path,start,end,")
    assert summary(timeline, 3.0) == "3.0 s heard: alice 1.0 s, unknown 0.5 s, nobody 1.5 s"


def test_a_summary_of_nothing() -> None:
    nothing = Timeline("x", "undecided", None, None, None, 0.0, 0.0)
    assert summary(nothing, 0.0) == "0.0 s heard: nobody 0.0 s"


def interrupted(times: int) -> Iterator[np.ndarray]:
    """Sound in which Ctrl-C is pressed while the second block is waited for."""
    yield np.zeros(16000, np.float32)
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)
    yield np.zeros(16000, np.float32)


def test_ctrl_c_ends_the_waiting_and_what_was_heard_counts(capsys: Any) -> None:
    engine = Engine()
    before = signal.getsignal(signal.SIGINT)
    with Listening() as listening:
        timeline = follow(interrupted(1), engine, "table", listening=listening)
        assert listening.stopped
    assert signal.getsignal(signal.SIGINT) is before
    assert engine.pushed == [16000]
    assert [segment.label for segment in timeline.segments] == ["unknown"]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_ctrl_c_never_cuts_a_computation() -> None:
    engine = Engine(on_push=lambda: signal.raise_signal(signal.SIGINT))
    with Listening() as listening:
        follow(blocks(16000, 16000), engine, "json", listening=listening)
    # the first block was taken whole, the second was not asked for
    assert (engine.pushed, engine.heard, engine.finished) == ([16000], 16000, 1)
    assert listening.stopped


def test_a_second_ctrl_c_ends_at_once() -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    engine = Engine(on_push=twice)
    with pytest.raises(KeyboardInterrupt), Listening() as listening:
        follow(blocks(16000), engine, "json", listening=listening)
    assert engine.finished == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_does_not_cut_the_end_short() -> None:
    engine = Engine()

    def pressed() -> Timeline:
        signal.raise_signal(signal.SIGINT)
        return Timeline("x", "undecided", None, None, None, 0.0, 0.0)

    engine.finish = pressed  # type: ignore[method-assign]
    with Listening() as listening:
        follow(blocks(16000), engine, "json", listening=listening)
        assert listening.stopped


def failing(*lengths: int) -> Iterator[np.ndarray]:
    yield from blocks(*lengths)
    raise RecordingError("x: gone", reason="truncated")


def test_what_came_before_a_fault_is_answered() -> None:
    engine = Engine()
    with Listening() as listening:
        timeline = follow(failing(16000), engine, "json", listening=listening)
    assert str(listening.fault) == "x: gone"
    assert len(timeline.segments) == 1
    with pytest.raises(RecordingError, match="gone"), Listening() as listening:
        follow(failing(), engine, "json", listening=listening)


class Reader:
    """What a microphone heard, then its end."""

    frames, exact, channels = None, False, 1

    def __init__(self, sound: np.ndarray, rate: int) -> None:
        self.sound, self.rate = sound, rate

    def read(self, frames: int) -> np.ndarray:
        if not len(self.sound):
            raise DecodeFault("the device gives no more sound; is it still connected?")
        block, self.sound = self.sound[:frames], self.sound[frames:]
        return block[:, None]

    def close(self) -> None:
        pass


class Microphone(LiveStream):
    """A microphone that hears what a test plays."""

    sound, rate, lost = np.zeros(0, np.float32), 16000, 0.0
    asked: list[tuple[Any, Any]]
    device_name = "Built-in"

    def __init__(self, sample_rate: int | None, *, device: Any = None, channel: Any = None) -> None:
        self.asked.append((device, channel))
        source = LiveSource("microphone Built-in", Reader(self.sound, self.rate))
        super().__init__(source, sample_rate=sample_rate or self.rate, block_seconds=0.1)

    @property
    def lost_seconds(self) -> float:
        return self.lost


@pytest.fixture
def mic(monkeypatch: pytest.MonkeyPatch, speech: tuple[np.ndarray, int]) -> type[Microphone]:
    """A microphone into which Aino speaks three times the same, and the command registered."""
    samples, rate = speech
    heard = np.tile(samples.astype(np.float32) / 32768, 3)
    kind = type("Heard", (Microphone,), {"sound": heard, "rate": rate, "asked": []})
    monkeypatch.setattr(audio, "Microphone", kind)
    monkeypatch.setitem(cli.commands, "listen", listen)
    return kind


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    made: list[Engine] = []

    def make(identifier: Any, *, label: str) -> Engine:
        assert label == "microphone"
        made.append(Engine(identifier.front_end.sample_rate))
        return made[-1]

    invented = types.ModuleType("speakerid.workflows.timeline_stream")
    invented.TimelineStream = make  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, invented.__name__, invented)
    return made


def test_listening_with_the_real_engine(run: Any, mic: Any, enrolled: Path, sample: Path) -> None:
    """What the microphone hears has the segments of the same sound in a file."""
    mic.sound, mic.rate = sf.read(sample / "conversation.flac", dtype="float32")
    listened = run("listen", "--db", enrolled, "--seconds", "29.25", "--format", "json", "--quiet")
    assert (listened.status, listened.err) == (0, "")
    [asked] = run("identify", "--timeline", sample / "conversation.flac", "--db", enrolled, "--format", "json").json
    segments = [{k: v for k, v in line.items() if k != "event"} for line in listened.json if line["event"] == "segment"]
    assert segments == asked["segments"]
    assert listened.json[-1]["event"] == "end"


def test_listening_for_some_seconds(run: Any, mic: Any, engines: Any, enrolled: Path) -> None:
    outcome = run("listen", "--db", enrolled, "--seconds", "2.25", "--device", "3", "--channel", 2)
    assert outcome.status == 0
    assert outcome.out.splitlines()[:2] == ["0:01.0  alice", "0:01.0 - 0:02.0  alice  90.0 %  LLR 2.0"]
    assert outcome.err.splitlines() == [
        "listening to Built-in; Ctrl-C ends it",
        "2.2 s heard: alice 1.0 s, unknown 0.5 s, nobody 0.8 s",
    ]
    assert engines[0].heard == 2.25 * engines[0].rate
    assert mic.asked == [(3, 2)]
    outcome = run("listen", "--db", enrolled, "--seconds", "2", "--device", "usb", "--format", "json", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    assert [line["event"] for line in outcome.json] == ["beginning", "segment", "end"]
    assert mic.asked[1] == ("usb", None)


def test_listening_until_ctrl_c(run: Any, mic: Any, engines: Any, enrolled: Path, monkeypatch: Any) -> None:
    class Interrupted(Reader):
        def read(self, frames: int) -> np.ndarray:
            if len(self.sound) < frames:
                signal.raise_signal(signal.SIGINT)
            return super().read(frames)

    monkeypatch.setitem(globals(), "Reader", Interrupted)
    outcome = run("listen", "--db", enrolled)
    assert outcome.status == 0
    assert re.search(r"^\d\.\d s heard: alice ", outcome.err, re.MULTILINE)
    assert outcome.complaints == []


def test_a_microphone_that_is_pulled_out(run: Any, mic: Any, engines: Any, enrolled: Path) -> None:
    outcome = run("listen", "--db", enrolled)
    assert outcome.status == 3
    assert "alice" in outcome.out
    assert " s heard: " in outcome.err
    (complaint,) = outcome.complaints
    assert "is it still connected?" in complaint


def test_sound_that_is_wrong_is_told(run: Any, mic: Any, engines: Any, enrolled: Path) -> None:
    mic.lost = 0.75
    outcome = run("listen", "--db", enrolled, "--seconds", "1", "-q")
    assert outcome.status == 0
    assert "0.8 s of sound were lost" in outcome.err
    mic.lost, loud = 0.0, mic.sound / np.abs(mic.sound).max()
    for mic.sound, told in (
        (np.zeros(40000, np.float32), "digital silence"),
        (loud * np.float32(0.01), "very quiet, at most -40 dB"),
        ((5 * loud).clip(-1, 1), "of the samples are clipped"),
        (loud * np.float32(0.5), None),
    ):
        outcome = run("listen", "--db", enrolled, "--seconds", "2")
        assert outcome.status == 0
        assert len(outcome.err.splitlines()) == (2 if told is None else 3)
        assert told is None or told in outcome.err


def test_enrolling_with_the_microphone(run: Any, mic: Any, tmp_path: Path, recordings: Any) -> None:
    db = tmp_path / "new.db"
    outcome = run("listen", "--enroll", "Aino", "--seconds", "6", "--db", db, "--format", "json")
    assert outcome.status == 0
    assert "listening to Built-in for 6 s: Aino, speak now" in outcome.err
    (line,) = outcome.json
    assert (line["speaker"], line["new"], line["recordings"]) == ("Aino", True, 1)
    assert 3 < line["speech_seconds"] < 6
    shown = run("speakers", "show", "Aino", "--db", db)
    assert re.search(r"microphone, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d +6\.0 ", shown.out)
    # a recording that is kept is the same to `enroll`
    kept = tmp_path / "kept.wav"
    outcome = run("listen", "--enroll", "Other", "--seconds", "5", "--db", db, "--keep", kept, "-q")
    assert (outcome.status, outcome.err) == (0, "")
    assert sf.info(kept).frames == 5 * mic.rate
    again = run("enroll", "--speaker", "Other", kept, "--db", db, "--format", "json")
    assert again.json[0]["already_enrolled"] == 1
    assert {name: len(hashes) for name, hashes in recordings(db).items()} == {"Aino": 1, "Other": 1}


def test_an_enrolment_without_speech_changes_nothing(run: Any, mic: Any, tmp_path: Path) -> None:
    mic.sound = np.zeros(3 * mic.rate, np.float32)
    db = tmp_path / "new.db"
    outcome = run("listen", "--enroll", "Aino", "--seconds", "2", "--db", db, "-q")
    assert outcome.status == 3
    assert "digital silence" in outcome.complaints[0]
    assert "no speech found" in outcome.complaints[1]
    assert not db.exists()


def test_a_device_that_fails_during_enrolment(run: Any, mic: Any, tmp_path: Path) -> None:
    outcome = run("listen", "--enroll", "A", "--keep", tmp_path / "a.wav", "--db", tmp_path / "new.db")
    assert outcome.status == 3
    assert "is it still connected?" in outcome.complaints[0]
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_during_enrolment_enrols_nothing(run: Any, mic: Any, tmp_path: Path, monkeypatch: Any) -> None:
    def read(self: Reader, frames: int) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "read", read)
    outcome = run("listen", "--enroll", "A", "--keep", tmp_path / "a.wav", "--db", tmp_path / "new.db")
    assert outcome.status == 130
    assert list(tmp_path.iterdir()) == []


def test_nobody_speaks_in_vain(run: Any, mic: Any, engines: Any, tmp_path: Path) -> None:
    """All that can be known is refused before the microphone is opened."""
    (tmp_path / "there.wav").write_bytes(b"somebody's")
    (tmp_path / "bad.db").write_text("no store", encoding="utf-8")
    db = tmp_path / "new.db"
    for arguments, message in (
        (["--enroll", "a/b"], "path separator"),
        (["--enroll", "a", "--keep", tmp_path / "there.wav"], "exists; a recording is not written over"),
        (["--enroll", "a", "--keep", tmp_path / "a.flac"], "ends in .wav"),
        (["--enroll", "a", "--keep", tmp_path / "no" / "a.wav"], "there is no folder"),
        (["--enroll", "a", "--db", tmp_path / "bad.db"], "bad.db"),
        (["--enroll", "a", "--config", tmp_path / "no.toml"], "cannot read the config file"),
        (["--keep", "a.wav"], "--keep is for the recording of --enroll"),
        (["--enroll", "a", "--seconds", "601"], "600 s at most"),
        (["--seconds", "0"], "0.1 at least"),
        (["--seconds", "nan"], "0.1 at least"),
        (["--seconds", "inf"], "0.1 at least"),
        ([], "no store there"),
    ):
        outcome = run("listen", "--db", db, *arguments)
        assert outcome.status == 2, arguments
        assert message in outcome.err
    assert mic.asked == []
    assert not db.exists()


def test_without_a_microphone(run: Any, mic: Any, engines: Any, enrolled: Path, monkeypatch: Any) -> None:
    def missing(*_arguments: Any, **_options: Any) -> None:
        raise MissingExtraError('the microphone needs the extra "mic": pip install "speakerid-gmm[mic]"')

    monkeypatch.setattr(audio, "Microphone", missing)
    monkeypatch.setattr(audio, "list_devices", missing)
    for arguments in ([], ["--enroll", "a"], ["--list-devices"]):
        outcome = run("listen", "--db", enrolled, *arguments)
        assert (outcome.status, outcome.out) == (3, "")
        (complaint,) = outcome.complaints
        assert 'pip install "speakerid-gmm[mic]"' in complaint


def test_devices(run: Any, mic: Any, monkeypatch: Any) -> None:
    found = (InputDevice(1, "Built-in", "ALSA", 2, 48000, True), InputDevice(4, "USB", "JACK", 1, 16000, False))
    monkeypatch.setattr(audio, "list_devices", lambda: found)
    outcome = run("listen", "--list-devices")
    assert outcome.status == 0
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["1", "Built-in", "ALSA", "2", "48000", "Hz", "default"] in rows
    assert ["4", "USB", "JACK", "1", "16000", "Hz"] in rows
    outcome = run("listen", "--list-devices", "--format", "json")
    assert outcome.json[1] == {
        "number": 4, "name": "USB", "system": "JACK", "channels": 1, "rate": 16000, "default": False,
    }  # fmt: skip
    monkeypatch.setattr(audio, "list_devices", tuple)
    outcome = run("listen", "--list-devices")
    assert (outcome.status, outcome.out) == (3, "")
    assert "no input device" in outcome.complaints[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Give a terminal, and a clock that moves an eighth of a second whenever somebody looks.

    No fixture: pytest changes the standard streams between a test and its fixtures.
    """
    screen, ticks = Terminal(), iter(range(10**6))
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(listening_command.time, "monotonic", lambda: next(ticks) / 8)
    return screen


def test_the_meter_shows_the_level_and_is_taken_away(monkeypatch: Any) -> None:
    terminal = on_terminal(monkeypatch)
    with LevelMeter(wanted=True) as meter:
        meter(np.array([0.0, -0.1, 0.05], np.float32))
        shown = terminal.getvalue()
        assert re.search(r"0:00 \[.*={14} .*-20 dB", shown)
        assert "\n" not in shown
        meter.clear()
        taken = terminal.getvalue()
        assert taken.startswith(shown)
        assert taken.endswith("\r\x1b[2K")
        meter.clear()
        assert terminal.getvalue() == taken
        for _ in range(29):
            meter(np.full(10, 0.001, np.float32))
        assert "too quiet" not in terminal.getvalue()
        meter(np.full(10, 0.001, np.float32))
        assert "too quiet" in terminal.getvalue()
        meter(np.full(10, 1.0, np.float32))
        assert "too loud" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_no_meter_where_nobody_sees_it(monkeypatch: Any) -> None:
    terminal = on_terminal(monkeypatch)
    loud = np.full(10, 1.0, np.float32)
    with LevelMeter(wanted=False) as meter:
        meter(loud)
    monkeypatch.setenv("TERM", "dumb")
    with LevelMeter(wanted=True) as meter:
        meter(loud)
    assert terminal.getvalue() == ""


def test_lines_stand_where_the_meter_was(capsys: Any) -> None:
    order: list[str] = []

    class Seen:
        def __call__(self, samples: Any) -> None:
            order.append("meter")

        def clear(self) -> None:
            order.append(f"clear before {len(capsys.readouterr().out.splitlines())} lines")

    with Listening() as listening:
        follow(blocks(8000, 8000), Engine(), "table", listening=listening, meter=Seen())
    assert order == ["meter", "meter", "clear before 0 lines", "clear before 1 lines"]


def test_help_loads_nothing_heavy(python: Any) -> None:
    code = """
import sys
from speakerid.cli.main import cli
from speakerid.cli.listen import listen
import speakerid.cli.follow
try:
    listen.main(["--help"])
except SystemExit:
    pass
assert not {"numpy", "soundfile", "soxr", "rich", "sounddevice", "sqlite3", "scipy"} & set(sys.modules)
"""
    outcome = python(code)
    assert (outcome.status, outcome.err) == (0, "")
    assert "--list-devices" in outcome.out
