"""Who speaks when in a conversation of the sample voices: right, the same from blocks and streams, and honest."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

import speakerid
from speakerid.audio import Recording
from speakerid.audio.rttm import read_rttm
from speakerid.config import Config, TimelineConfig, TrainingConfig
from speakerid.errors import UsageError
from speakerid.evaluation.timelines import boundary_errors, score_timeline
from speakerid.workflows.analysis import Waveform
from speakerid.workflows.identify import Identifier
from speakerid.workflows.timeline import Beginning, Segment, Timeline
from speakerid.workflows.timeline_stream import TimelineStream

Turns = list[tuple[str, float, float]]


@pytest.fixture(scope="module")
def identifier(enrolled: Path) -> Identifier:
    return speakerid.Identifier.open(enrolled)


@pytest.fixture(scope="module")
def talk(sample: Path) -> np.ndarray:
    return np.asarray(sf.read(sample / "conversation.flac", dtype="float32")[0])


@pytest.fixture(scope="module")
def turns(sample: Path) -> Turns:
    return [(turn.label, turn.start, turn.end) for turn in read_rttm(sample / "conversation.rttm")["conversation"]]


@pytest.fixture(scope="module")
def timeline(identifier: Identifier, sample: Path) -> Timeline:
    return identifier.timeline(sample / "conversation.flac", keep_windows=True)


def labels(timeline: Timeline) -> list[str]:
    return [segment.label for segment in timeline.segments]


def as_turns(timeline: Timeline) -> Turns:
    return [(segment.label, segment.start, segment.end) for segment in timeline.segments]


def test_everybody_is_named_and_strangers_are_unknown(timeline: Timeline, turns: Turns, identifier: Identifier) -> None:
    assert labels(timeline) == ["Alice", "Robert", "unknown", "Alice", "José", "Tom", "unknown", "Núria"]
    errors = score_timeline(turns, as_turns(timeline), known=identifier.speakers)
    assert errors.confusion == 0
    assert errors.correct / errors.total > 0.9
    assert np.median(boundary_errors(turns, as_turns(timeline))) <= 0.2
    assert (timeline.status, timeline.reason, timeline.decision) == ("undecided", "several_voices", None)
    assert not timeline.failed


def test_a_segment_says_how_sure_it_is(timeline: Timeline, identifier: Identifier, talk: np.ndarray) -> None:
    for segment in timeline.segments:
        assert segment.llr is not None
        assert segment.probability is not None
        assert segment.probability > 0.5
        assert (segment.status == "identified") == (segment.llr > 2)
        assert 0 < segment.speech_seconds <= segment.seconds + 1e-9
        assert segment.nearest in identifier.speakers
    # as identify judges the same stretch, whose level and neighbours are its own
    first = timeline.segments[0]
    alone = identifier.identify(talk[: round(16000 * first.end)], sample_rate=16000)
    assert first.llr == pytest.approx(alone.scores[0].llr, abs=1.5)


def test_times_are_the_recordings_own(timeline: Timeline) -> None:
    assert timeline.duration_seconds == pytest.approx(29.25)
    assert timeline.speech_seconds is not None
    assert sum(each.speech_seconds for each in timeline.segments) <= timeline.speech_seconds + 1e-6
    edges = [edge for each in timeline.segments for edge in (each.start, each.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= 29.25


def test_windows_are_there_to_be_looked_at(timeline: Timeline, identifier: Identifier) -> None:
    windows = timeline.windows
    assert windows is not None
    assert windows.ratios.shape == (len(windows), len(identifier.speakers))
    np.testing.assert_allclose(np.diff(windows.centres), 0.1)
    assert windows.speech_seconds.max() <= 1.5
    # in the middle of her turn Alice fits best, and silence worst
    middle = int(np.searchsorted(windows.centres, 1.4))
    assert identifier.speakers[int(windows.ratios[middle].argmax())] == "Alice"
    assert windows.silence[middle] < 0
    assert windows.world[middle] < 0
    # each step: what the window speaks for, and where the path goes; speakers, unknown, silence
    assert windows.gains is not None
    assert windows.states is not None
    assert windows.gains.shape == (len(windows), len(identifier.speakers) + 2)
    names = [*identifier.speakers, "unknown", ""]
    for segment in timeline.segments:
        inside = (windows.centres > segment.start) & (windows.centres < segment.end)
        assert {names[state] for state in windows.states[inside]} == {segment.label}
    assert names[windows.states[int(np.searchsorted(windows.centres, 3.1))]] == ""


def streamed(identifier: Identifier, samples: np.ndarray, sizes: list[int], **options: object) -> tuple[list, Timeline]:
    stream = identifier.timeline_stream(**options)
    events, start, number = [], 0, 0
    while start < len(samples):
        size = sizes[number % len(sizes)]
        events += stream.push(samples[start : start + size])
        start, number = start + size, number + 1
    return events, stream.finish()


@settings(max_examples=8)
@given(st.lists(st.integers(300, 100_000), min_size=1, max_size=4))
def test_blocks_of_any_size_have_the_same_segments(
    identifier: Identifier, talk: np.ndarray, timeline: Timeline, sizes: list[int]
) -> None:
    assert streamed(identifier, talk, sizes)[1].segments == timeline.segments


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_threads_change_nothing(identifier: Identifier, sample: Path, timeline: Timeline, jobs: int) -> None:
    again = identifier.timeline(sample / "conversation.flac", jobs=jobs, keep_windows=True)
    assert again.segments == timeline.segments
    assert again.windows is not None
    assert timeline.windows is not None
    assert np.array_equal(again.windows.ratios, timeline.windows.ratios, equal_nan=True)


def test_a_stream_answers_in_time(identifier: Identifier, talk: np.ndarray, timeline: Timeline) -> None:
    stream = identifier.timeline_stream()
    firm: list[tuple[float, Beginning | Segment]] = []
    for start in range(0, len(talk), 1600):
        firm += [((start + 1600) / 16000, event) for event in stream.push(talk[start : start + 1600])]
    rest = stream.finish()
    told = [event for _time, event in firm if isinstance(event, Segment)]
    assert rest.segments[: len(told)] == tuple(told)
    assert rest.segments == timeline.segments
    begun = {event.start: event.speaker for _time, event in firm if isinstance(event, Beginning)}
    for segment in told:
        assert begun[segment.start] == segment.decision
    for time, event in firm:
        edge = event.start if isinstance(event, Beginning) else event.end
        assert time - edge <= stream.longest_delay_seconds
    # mostly long before
    waits = [time - event.end for time, event in firm if isinstance(event, Segment)]
    assert np.median(waits) < 5


def test_a_stretch_of_a_file_keeps_the_files_clock(identifier: Identifier, sample: Path) -> None:
    part = identifier.timeline(Recording(str(sample / "conversation.flac"), start=10.5, end=17.2))
    assert labels(part) == ["Alice", "José"]
    assert 10.5 < part.segments[0].start < 11.3
    assert 16.5 < part.segments[-1].end <= 17.2
    assert part.path == str(sample / "conversation.flac")


def test_one_voice_is_the_answer_for_the_recording(identifier: Identifier, sample: Path) -> None:
    known = identifier.timeline(sample / "test" / "alice-1.flac")
    assert (known.status, known.decision, known.reason) == ("identified", "Alice", None)
    stranger = identifier.timeline(sample / "test" / "stranger-1.flac")
    assert (stranger.status, stranger.decision) == ("unknown", None)
    assert stranger.segments[0].nearest == "Tom"


def test_silence_is_nobody(identifier: Identifier, sample: Path) -> None:
    silent = identifier.timeline(sample / "test" / "silence.flac")
    assert (silent.status, silent.reason, silent.segments) == ("undecided", "no_speech", ())
    assert silent.failed
    assert "no speech found in 3.0 s" in (silent.message or "")
    noise = np.random.default_rng(5).normal(scale=0.05, size=160_000).astype(np.float32)
    assert identifier.timeline(noise, sample_rate=16000).reason == "no_speech"


@pytest.mark.parametrize("n", [0, 10, 399, 400, 800])
def test_hardly_any_samples(identifier: Identifier, talk: np.ndarray, n: int) -> None:
    stream = identifier.timeline_stream(label="short")
    stream.push(talk[8000 : 8000 + n])
    answer = stream.finish()
    assert answer.status == "undecided"
    assert {each.reason for each in answer.segments} <= {"too_short"}
    assert answer.reason in ("too_short", "no_speech")
    assert answer.path == "short"


def test_a_word_is_a_segment(identifier: Identifier, talk: np.ndarray) -> None:
    answer = identifier.timeline(talk[3200:9600], sample_rate=16000)
    assert len(answer.segments) == 1
    assert (answer.segments[0].start, answer.segments[0].end) == (0.0, pytest.approx(0.4, abs=0.03))


def test_a_closed_set_has_no_strangers(identifier: Identifier, sample: Path) -> None:
    answer = identifier.timeline(sample / "conversation.flac", closed_set=True)
    assert set(labels(answer)) <= set(identifier.speakers)
    assert {"Alice", "Robert", "José", "Tom", "Núria"} <= set(labels(answer))


def test_a_stricter_rate_names_no_more(identifier: Identifier, sample: Path) -> None:
    strict = identifier.timeline(sample / "conversation.flac", false_accept_rate=1e-3)
    loose = identifier.timeline(sample / "conversation.flac", false_accept_rate=0.3)
    named = [sum(each.seconds for each in answer.segments if each.decision) for answer in (strict, loose)]
    assert named[0] <= named[1]
    everybody = identifier.timeline(sample / "conversation.flac", threshold=1e6)
    assert set(labels(everybody)) == {"unknown"}
    # refused names beside unknown voices become one unknown voice
    assert all(a.end < b.start for a, b in zip(everybody.segments, everybody.segments[1:], strict=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0.5, "hop": 0.7}, "longer than the window"),
        ({"window": 0.0}, "expected seconds"),
        ({"hop": -1.0}, "expected seconds"),
        ({"window": float("nan")}, "expected seconds"),
        ({"closed_set": True, "false_accept_rate": 0.1}, "choose one"),
        ({"false_accept_rate": 2.0}, "between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused(identifier: Identifier, options: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        identifier.timeline_stream(**options)


@pytest.mark.parametrize(("window", "hop"), [(0.1, 0.1), (3.0, 0.01), (1.0, 1.0), (60.0, 0.25), (0.1, 0.004)])
def test_windows_and_hops_of_other_lengths(
    identifier: Identifier, sample: Path, turns: Turns, window: float, hop: float
) -> None:
    answer = identifier.timeline(sample / "conversation.flac", window=window, hop=hop)
    assert answer.segments
    assert answer.duration_seconds == pytest.approx(29.25)
    if window <= 3:
        assert score_timeline(turns, as_turns(answer), known=identifier.speakers).rate < 0.5


def test_a_file_that_is_cut_short_tells_what_was_there(identifier: Identifier, sample: Path, tmp_path: Path) -> None:
    data = (sample / "conversation.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    answer = identifier.timeline(tmp_path / "cut.flac")
    assert (answer.status, answer.reason) == ("undecided", "truncated")
    assert "cut short" in (answer.message or "")
    gone = identifier.timeline(tmp_path / "gone.flac")
    assert (gone.reason, gone.duration_seconds, gone.segments) == ("unreadable", None, ())


def test_clipping_is_a_warning(identifier: Identifier, talk: np.ndarray) -> None:
    answer = identifier.timeline(Waveform(np.clip(talk * 20, -1, 1), 16000, label="loud.wav"))
    assert "clipped" in (answer.message or "")


def test_speakers_without_a_world_model_are_told_apart_too(sample: Path, tmp_path: Path, turns: Turns) -> None:
    config = Config(training=TrainingConfig(method="ml"))
    speakerid.enroll(sample / "enroll", db=tmp_path / "ml.db", config=config)
    identifier = speakerid.Identifier.open(tmp_path / "ml.db", config=config)
    answer = identifier.timeline(sample / "conversation.flac")
    assert set(labels(answer)) <= set(identifier.speakers)
    assert all((each.llr, each.probability) == (None, None) for each in answer.segments)
    errors = score_timeline(turns, as_turns(answer))
    known = sum(end - start for label, start, end in turns if label in identifier.speakers)
    assert errors.correct > 0.85 * known


def test_the_settings_count(enrolled: Path, sample: Path) -> None:
    talkative = Config(timeline=TimelineConfig(longest_pause_seconds=60.0, shortest_silence_seconds=30.0))
    identifier = speakerid.Identifier.open(enrolled, config=talkative)
    answer = identifier.timeline(sample / "conversation.flac")
    assert all(a.end == b.start for a, b in zip(answer.segments, answer.segments[1:], strict=False))


def test_memory_does_not_grow_with_the_recording(identifier: Identifier, talk: np.ndarray) -> None:
    stream = TimelineStream(identifier)
    sizes = set()
    for _ in range(4):
        for start in range(0, len(talk), 16_000):
            stream.push(talk[start : start + 16_000])
        sizes.add(len(stream._recent))
        assert len(stream._heard) <= 30
    assert max(sizes) <= stream._room + stream._windows.after + 1 + 10


def test_json_has_what_scripts_rely_on(timeline: Timeline) -> None:
    values = timeline.to_dict()
    assert {"path", "decision", "status", "reason", "message", "segments"} <= values.keys()
    assert {"start", "end", "decision", "llr", "probability"} <= values["segments"][0].keys()
    assert values["segments"][2]["decision"] is None
    assert dataclasses.asdict(timeline.segments[0])["decision"] == "Alice"


@pytest.mark.corpora
def test_real_voices_one_after_the_other(corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concatenations of read speech with pauses and strangers: 97 % of the speech right, boundaries within 0.3 s."""
    from benchmarks.timelines import concatenations

    scores = concatenations(corpora, tmp_path, n=2, turns=40)
    assert scores.speech_right >= 0.97
    assert scores.boundary_median <= 0.3


@pytest.mark.parametrize(
    "samples", [np.zeros(10, np.int16), np.zeros((10, 2), np.float32), np.array([0.0, np.nan]), np.array([np.inf])]
)
def test_what_are_no_samples_is_refused(identifier: Identifier, samples: np.ndarray) -> None:
    stream = identifier.timeline_stream()
    with pytest.raises(ValueError, match=r"floats of shape|finite"):
        stream.push(samples)


def test_what_has_ended_goes_on_no_more(identifier: Identifier) -> None:
    stream = identifier.timeline_stream()
    stream.push(np.zeros(100))
    stream.finish()
    with pytest.raises(ValueError, match="has ended"):
        stream.push(np.zeros(100, np.float32))
    with pytest.raises(ValueError, match="has ended"):
        stream.finish()


def test_progress_is_told(identifier: Identifier, sample: Path) -> None:
    told: list[tuple[float, float | None]] = []
    identifier.timeline(sample / "conversation.flac", progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (pytest.approx(29.25), pytest.approx(29.25))
    assert [done for done, _of in told] == sorted(done for done, _of in told)


@pytest.mark.parametrize(
    "options", [{"window": 1e300}, {"window": 1e18, "hop": 1e18}, {"window": 0.05}, {"hop": 4000.0}]
)
def test_windows_beyond_all_sense_are_refused(identifier: Identifier, options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected seconds"):
        identifier.timeline_stream(**options)


@pytest.mark.parametrize("value", [1e300, 1e38])
def test_samples_too_large_for_audio_are_refused(identifier: Identifier, value: float) -> None:
    samples = np.zeros(1000)
    samples[500] = value
    with pytest.raises(ValueError, match="too large"):
        identifier.timeline_stream().push(samples)


def test_nobody_who_stands_out_is_said_so(enrolled: Path, sample: Path) -> None:
    """Settings that leave everything to silence: there is speech, and no segment."""
    shy = Config(timeline=TimelineConfig(change_cost=1e6))
    answer = speakerid.Identifier.open(enrolled, config=shy).timeline(sample / "conversation.flac")
    assert (answer.status, answer.reason, answer.segments) == ("undecided", "no_speech", ())
    assert "nobody is heard to speak in 29.2 s" in (answer.message or "")


@pytest.mark.parametrize("db", [-20, -40, -46])
def test_a_quiet_recording_has_the_same_voices(
    identifier: Identifier, talk: np.ndarray, timeline: Timeline, db: float
) -> None:
    quiet = identifier.timeline(talk * np.float32(10 ** (db / 20)), sample_rate=16000)
    assert labels(quiet) == labels(timeline)
    for a, b in zip(quiet.segments, timeline.segments, strict=True):
        assert abs(a.start - b.start) <= 0.5
        assert abs(a.end - b.end) <= 0.5


@pytest.mark.parametrize("offset", [0.01, -0.05, 0.3])
def test_an_offset_changes_nothing(identifier: Identifier, talk: np.ndarray, timeline: Timeline, offset: float) -> None:
    moved = identifier.timeline(talk * np.float32(0.5) + np.float32(offset), sample_rate=16000)
    plain = identifier.timeline(talk * np.float32(0.5), sample_rate=16000)
    assert labels(moved) == labels(plain) == labels(timeline)
    for a, b in zip(moved.segments, plain.segments, strict=True):
        assert abs(a.start - b.start) <= 0.15
        assert abs(a.end - b.end) <= 0.15


def test_a_stretch_is_in_the_answer(identifier: Identifier, sample: Path) -> None:
    path = str(sample / "conversation.flac")
    part = identifier.timeline(Recording(path, start=10.5, end=17.2))
    assert (part.to_dict()["start"], part.to_dict()["end"]) == (10.5, 17.2)
    gone = identifier.timeline(Recording(path, start=100.0, end=110.0))
    assert (gone.reason, gone.to_dict()["start"]) == ("unreadable", 100.0)
    assert "start" not in identifier.timeline(path).to_dict()


def test_what_was_before_a_damage_is_told_to_the_end(identifier: Identifier, talk: np.ndarray, tmp_path: Path) -> None:
    damaged = talk.copy()
    damaged[16000 * 15] = np.nan
    sf.write(tmp_path / "nan.wav", damaged, 16000, subtype="FLOAT")
    answer = identifier.timeline(tmp_path / "nan.wav")
    assert (answer.status, answer.reason) == ("undecided", "unreadable")
    assert labels(answer)[:4] == ["Alice", "Robert", "unknown", "Alice"]
    assert answer.segments[-1].end > 14


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_stream_of_another_rate_is_resampled(identifier: Identifier, talk: np.ndarray, rate: int) -> None:
    import soxr

    other = soxr.resample(talk, 16000, rate)
    expected = identifier.timeline(other, sample_rate=rate)
    answer = streamed(identifier, other, [4410], sample_rate=rate)[1]
    assert answer.segments == expected.segments
    assert (answer.message or "").replace("(stream)", "(array)") == (expected.message or "")
    with pytest.raises(UsageError, match="sample rate"):
        identifier.timeline_stream(sample_rate=100)


def test_a_long_unknown_recording_is_referred_to_the_timeline(identifier: Identifier, talk: np.ndarray) -> None:
    meeting = identifier.identify(np.tile(talk, 2), sample_rate=16000)
    assert meeting.status != "identified"
    assert "identify --timeline" in (meeting.message or "")
    assert identifier.identify(talk[110_000:166_000], sample_rate=16000).message is None


def test_a_telephone_is_refused_where_it_is_not_made_up_for(enrolled: Path, talk: np.ndarray) -> None:
    """As `identify` does, also where the environment is not looked at."""
    from speakerid.audio import parse_degradation
    from speakerid.audio.degradations import degrade
    from speakerid.config import WorldConfig

    call = degrade(talk, 16000, parse_degradation("telephone"), seed=1, key="call").astype(np.float32)
    plain = speakerid.Identifier.open(enrolled, config=Config(world=WorldConfig(compensation="none")))
    assert plain.identify(call[:45_000], sample_rate=16000).reason == "band"
    answer = plain.timeline(call, sample_rate=16000)
    assert (answer.status, answer.reason) == ("undecided", "band")
    assert {(each.status, each.reason) for each in answer.segments} == {("undecided", "band")}
