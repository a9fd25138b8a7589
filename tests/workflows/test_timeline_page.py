"""The page of a timeline as text: what it says, what it holds, and that no name can get out of its place."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from made_up_timelines import HOSTILE, RATE, later, long_meeting, meeting, recording, segment, timeline

from speakerid.audio import Recording, array_stream
from speakerid.errors import RecordingError, UsageError
from speakerid.evaluation.report.words import visible
from speakerid.workflows import timeline_audio, timeline_page
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_page import write_page
from speakerid.workflows.timeline_page.contents import _probability
from speakerid.workflows.timeline_page.drawing import NOTHING, encoded_curves

UNREADABLE = Timeline("x.wav", "undecided", None, "unreadable", "x.wav: no audio file", None, None)


class Page(HTMLParser):
    """Elements with their attributes, and the text outside styles and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data: dict[str, Any] | None = None
        self._inside = ""
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = str(dict(attrs).get("id", tag))

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data = json.loads(data)
        elif not self._inside:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]


def made(tmp_path: Path, of: Timeline, **options: Any) -> str:
    write_page(of, tmp_path / "page.html", **options)
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def sound(of: Timeline) -> Any:
    return array_stream(recording(of), RATE, sample_rate=RATE)


def test_the_page_says_who_speaks_when_and_what_is_wrong(tmp_path: Path) -> None:
    page = Page(made(tmp_path, meeting(), notes=["clipped: 2 %"]))
    for each in (
        "Who speaks when", "a meeting.wav", "Ann-Marie, Bo Ek and somebody unknown speak.", "30.0 s", "several voices speak",
        "clipped: 2 %", "The recording is not in this page.", "nearest: Bo Ek", "too short", "0:09.5", "71.0 %", "−3.2",
    ):  # fmt: skip
        assert each in page.text
    assert len(page.all("tr")) == 1 + 6
    assert not page.all("audio")


def test_it_holds_the_recording_and_its_waveform(tmp_path: Path) -> None:
    text = made(tmp_path, meeting(), source=sound(meeting()))
    (player,) = Page(text).all("audio")
    head, data = str(player["src"]).split(",")
    assert head == "data:audio/mpeg;base64"
    samples, rate = sf.read(io.BytesIO(base64.b64decode(data, validate=True)))
    assert (rate, len(samples)) == (RATE, 30 * RATE)
    assert np.corrcoef(samples, recording(meeting()))[0, 1] > 0.98
    values = Page(text).data
    assert values is not None
    envelope = np.frombuffer(base64.b64decode(values["wave"]["values"]), "<i1").reshape(-1, 2)
    assert len(envelope) * values["wave"]["step"] == pytest.approx(30, abs=values["wave"]["step"])
    assert np.abs(envelope).max() == 127


def test_the_recording_may_be_left_out(tmp_path: Path) -> None:
    page = Page(made(tmp_path, meeting(), source=sound(meeting()), embed_audio=False))
    assert not page.all("audio")
    assert page.data is not None
    assert page.data["wave"] is not None


def test_a_recording_of_any_length_is_put_in_by_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_page, "_PIECE", 3 * 7)
    whole = made(tmp_path, meeting(), source=sound(meeting()))
    monkeypatch.undo()
    assert made(tmp_path, meeting(), source=sound(meeting())) == whole


def test_flac_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_page, "page_coding", lambda: timeline_audio._flac("it is old"))
    page = Page(made(tmp_path, meeting(), source=sound(meeting())))
    assert "The recording is FLAC, which takes three times the room of MP3: it is old." in page.text
    assert str(page.all("audio")[0]["src"]).startswith("data:audio/flac;base64,ZkxhQ")


def test_nothing_is_fetched_and_no_script_but_its_own_may_run(tmp_path: Path) -> None:
    text = made(tmp_path, meeting(), source=sound(meeting()))
    page = Page(text)
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert policy.count("'sha256-") == 1
    assert "media-src data: blob:" in policy
    assert not page.all("link")
    assert not page.all("img")
    assert not re.findall(r"https?://", re.sub(r"base64,[\w+/=]+", "", text))
    assert not [name for _, each in page.elements for name in each if name.startswith("on")]


def test_the_same_timeline_gives_the_same_bytes(tmp_path: Path) -> None:
    first = made(tmp_path, meeting(), source=sound(meeting()))
    assert made(tmp_path, meeting(), source=sound(meeting())) == first


def test_names_stay_in_their_places(tmp_path: Path) -> None:
    names = ("<recording>", *HOSTILE)
    plain = ("a", *(f"b{i}" for i in range(len(HOSTILE))))
    pages = []
    for each in (names, plain):
        of = timeline(
            [segment(i * 10, i * 10 + 8, n) for i, n in enumerate(each)], 90.0, path=f"{each[1]}.wav", message=each[2]
        )
        pages.append(made(tmp_path, of, source=sound(replace(of, segments=())), notes=[each[3]]))
    hostile, harmless = map(Page, pages)
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(each) for _, each in hostile.elements] == [sorted(each) for _, each in harmless.elements]
    assert len(hostile.all("audio")) == 1
    for name in names:
        assert " ".join(visible(name).split()) in hostile.text
    assert "\x1b" not in pages[0]
    assert html.escape("<script>window.ran") in pages[0]


def test_bytes_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    of = replace(timeline([segment(0, 1, "a\udce9")], 2.0), path="talk\udce9.wav", message="talk\udce9")
    assert "talk\N{REPLACEMENT CHARACTER}" in made(tmp_path, of, title="t\udce9", notes=["\udce9"])


@pytest.mark.parametrize(
    ("of", "sentence"),
    [
        (UNREADABLE, "It cannot be said who speaks."),
        (replace(UNREADABLE, duration_seconds=3.0, speech_seconds=0.0), "It cannot be said who speaks."),
        (replace(meeting(), segments=()), "It cannot be said who speaks."),
        (timeline([segment(0, 1, "")], 2.0), "It cannot be said who speaks."),
        (timeline([segment(0, 1, None)], 2.0), "Somebody unknown speaks."),
        (timeline([segment(0, 1, "Eve")], 2.0), "Eve speaks."),
        (timeline([segment(0, 1, "Eve"), segment(1, 2, None)], 2.0), "Eve and somebody unknown speak."),
        (
            long_meeting(200, 5),
            "5 enrolled speakers and somebody unknown speak. Of the enrolled, Speaker 00 speaks longest.",
        ),
    ],
)
def test_the_sentence_says_no_more_than_is_known(tmp_path: Path, of: Timeline, sentence: str) -> None:
    page = Page(made(tmp_path, of))
    assert sentence in page.text
    if of.message:
        assert of.message in page.text


def test_a_recording_that_could_not_be_used_is_not_read(tmp_path: Path) -> None:
    page = Page(made(tmp_path, UNREADABLE, source=tmp_path / "missing.wav"))
    assert page.data is None
    assert not page.all("audio")
    assert "There are no segments." in page.text


def test_what_came_from_standard_input_is_not_read_again(tmp_path: Path) -> None:
    for source in ("-", Recording("-")):
        page = Page(made(tmp_path, replace(meeting(), path="-"), source=source))
        assert "came from standard input, which cannot be read twice" in page.text
        assert not page.all("audio")
        assert "standard input: who speaks when" in page.text


def test_a_stretch_has_the_files_times(tmp_path: Path) -> None:
    sound_of = np.concatenate((np.zeros(20 * RATE, np.float32), recording(meeting())))
    sf.write(tmp_path / "a.flac", np.clip(sound_of, -1, 1), RATE)
    text = made(tmp_path, later(meeting(), 20.0), source=Recording(str(tmp_path / "a.flac"), start=20.0))
    whole = made(tmp_path, meeting(), source=sound(meeting()))
    stretch, plain = Page(text), Page(whole)
    assert stretch.data is not None
    assert plain.data is not None
    assert (stretch.data["begin"], plain.data["begin"]) == (20.0, 0.0)
    for key in ("starts", "ends", "duration", "curves"):
        assert stretch.data[key] == plain.data[key]
    assert "0:24.8" in stretch.text
    assert "0:24.8" not in plain.text
    drawn = [re.findall(r"class=\"bars.*?</svg>", each) for each in (text, whole)]
    assert drawn[0] == drawn[1] != []
    assert re.findall(r'class="tick"[^<]*', text)[0] == 'class="tick" style="left: 0.0%">0:20'


def test_a_recording_that_has_gone_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError):
        write_page(meeting(), tmp_path / "page.html", source=tmp_path / "missing.wav")
    with pytest.raises(UsageError, match=r"ends in \.html"):
        write_page(meeting(), tmp_path / "page.txt")
    assert not [*tmp_path.iterdir()]


def test_probabilities_that_round_to_certain_are_not_said_to_be() -> None:
    values = (None, float("nan"), 0.0001, 0.001, 0.5, 0.999, 0.9991, 1.0)
    assert [_probability(p) for p in values] == [
        "–", "–", "< 0.1\u202f%", "0.1\u202f%", "50.0\u202f%", "99.9\u202f%", "> 99.9\u202f%", "> 99.9\u202f%"
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 20_000, 20_001, 49_999])
def test_curves_have_few_points_and_keep_their_extremes(n: int) -> None:
    whole = long_meeting(50, 3).windows
    assert whole is not None
    rng = np.random.default_rng(1)
    ratios = rng.normal(0, 1, (n, 2)).astype(np.float32)
    if n > 10:
        ratios[n // 2, 1], ratios[7] = 9.0, np.nan
    windows = replace(whole, centres=np.arange(n) * 0.5, ratios=ratios)
    times, (first, second) = encoded_curves(windows, [0, 1], (-10.0, 10.0))
    t = np.frombuffer(base64.b64decode(times), "<f4")
    values = [np.frombuffer(base64.b64decode(each), "<i2") for each in (first, second)]
    assert len(t) == len(values[0]) == len(values[1]) <= 20_001
    assert (np.diff(t) >= 0).all()
    if n > 10:
        assert values[1].max() == round(32767 * 19 / 20)
        assert t[values[1].argmax()] == pytest.approx(n // 2 * 0.5, abs=4)
        assert (NOTHING in values[0]) == (n <= 20_000)


def test_a_page_of_many_segments_is_not_large(tmp_path: Path) -> None:
    text = made(tmp_path, long_meeting())
    assert len(Page(text).all("tr")) == 5001
    assert len(text) < 3_000_000
