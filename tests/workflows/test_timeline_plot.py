"""The picture of a timeline: what is in it, read from its SVG; the same bytes again; any names."""

from __future__ import annotations

import struct
import warnings
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_timelines import HOSTILE, RATE, later, long_meeting, meeting, recording, segment, timeline

from speakerid.audio import array_stream
from speakerid.errors import UsageError
from speakerid.workflows.timeline import Timeline
from speakerid.workflows.timeline_audio import AudioSummary, summarise_audio
from speakerid.workflows.timeline_plot import plot_timeline

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def audio() -> AudioSummary:
    return summarise_audio(array_stream(recording(meeting()), RATE, sample_rate=RATE), spectrogram=True)


def texts(path: Path) -> list[str]:
    return ["".join(each.itertext()) for each in ET.parse(path).iter(f"{SVG}text")]


def fills(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_lanes_have_names_lengths_and_colours(tmp_path: Path, audio: AudioSummary) -> None:
    path = tmp_path / "a.svg"
    plot_timeline(meeting(), path, audio=audio)
    found = texts(path)
    for each in ("a meeting.wav", "Ann-Marie", "Bo Ek", "unknown", "undecided", "16.2 s", "4.2 s", "5.0 s", "0.5 s"):
        assert each in found
    assert "Never Here" not in found
    assert "LLR, nats a frame" in found
    assert {"0", "5", "30", "seconds"} <= set(found)
    assert all(colour in fills(path) for colour in ("#0072b2", "#d55e00"))


def test_bars_stand_where_the_segments_are(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    plot_timeline(replace(meeting(), windows=None), path)
    bars = [
        [float(word) for word in each.attrib["d"].split() if word[0].isdigit()]
        for each in ET.parse(path).iter(f"{SVG}path")
        if "fill: #0072b2" in each.attrib.get("style", "")
    ]
    starts = sorted(min(points[::2]) for points in bars)
    ends = sorted(max(points[::2]) for points in bars)
    assert len(bars) == 3
    # linear in the seconds of the three segments
    own = [each for each in meeting().segments if each.decision == "Ann-Marie"]
    x, t = np.array([*starts, *ends]), np.array([*(e.start for e in own), *(e.end for e in own)])
    slope, offset = np.polyfit(t, x, 1)
    np.testing.assert_allclose(slope * t + offset, x, atol=0.01)


@pytest.mark.parametrize("ending", ["svg", "png", "SVG"])
@pytest.mark.parametrize("background", ["waveform", "spectrogram"])
def test_the_same_timeline_gives_the_same_bytes(
    tmp_path: Path, audio: AudioSummary, ending: str, background: str
) -> None:
    for name in ("a", "b"):
        plot_timeline(meeting(), tmp_path / f"{name}.{ending}", audio=audio, background=background)
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first == second
    assert b"dc:date" not in first
    assert b"Software" not in first
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"a.{ending}", f"b.{ending}"]


def test_a_spectrogram_is_a_picture_with_frequencies(tmp_path: Path, audio: AudioSummary) -> None:
    plot_timeline(meeting(), tmp_path / "a.svg", audio=audio, background="spectrogram")
    assert len([*ET.parse(tmp_path / "a.svg").iter(f"{SVG}image")]) == 1
    assert "kHz" in texts(tmp_path / "a.svg")
    with pytest.raises(ValueError, match="no spectrogram"):
        plot_timeline(meeting(), tmp_path / "b.svg", audio=replace(audio, spectrogram=None), background="spectrogram")


def test_an_hour_of_twenty_speakers_is_as_wide_and_has_a_clock(tmp_path: Path) -> None:
    hour = long_meeting(400)
    plot_timeline(hour, tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert {"0:00:00", "0:05:00", "1:00:00", "h:mm:ss"} <= set(found)
    assert found.count("Speaker 07") == 2  # its lane and its curve
    assert any("<pattern" in line for line in fills(tmp_path / "a.svg").splitlines())  # hatched beyond the sixth
    plot_timeline(hour, tmp_path / "a.png")
    width, height = struct.unpack(">II", (tmp_path / "a.png").read_bytes()[16:24])
    assert width == 1440
    assert 1200 < height < 2000


def test_the_axis_of_a_stretch_is_the_files(tmp_path: Path, audio: AudioSummary) -> None:
    moved = later(meeting(), 3000.0)
    plot_timeline(moved, tmp_path / "a.svg", audio=replace(audio, begins_at=3000.0))
    assert {"50:00", "50:30"} <= set(texts(tmp_path / "a.svg"))
    plot_timeline(meeting(), tmp_path / "b.svg", audio=audio)
    # only the writing of the axis differs
    shapes = [
        [
            e.attrib["d"]
            for e in ET.parse(tmp_path / f"{n}.svg").iter(f"{SVG}path")
            if "clip-path" in e.attrib and "fill: #" in e.attrib.get("style", "")
        ]
        for n in "ab"
    ]
    assert shapes[0] == shapes[1] != []


def test_any_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    made = timeline(
        [segment(i * 10, i * 10 + 8, n) for i, n in enumerate(HOSTILE)], 75.0, path="x/$\\frac{a$\n\udce9.wav"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_timeline(made, tmp_path / "a.svg")
        plot_timeline(made, tmp_path / "a.png")
    found = texts(tmp_path / "a.svg")
    assert "$\\frac{a$\\n\\udce9.wav" in found
    assert any(each.startswith("<script>window") for each in found)
    assert HOSTILE[-1] in found
    assert max(map(len, found)) < 50


def test_a_timeline_without_anything_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    plot_timeline(Timeline("x.wav", "undecided", None, "no_speech", "x.wav: no speech", None, None), path)
    assert "x.wav: no speech" in texts(path)
    plot_timeline(replace(meeting(), segments=()), path, title="Nothing")
    assert "Nothing" in texts(path)


def test_speakers_without_curves_leave_them_out(tmp_path: Path) -> None:
    silent = meeting()
    assert silent.windows is not None
    nothing = replace(silent.windows, ratios=np.full_like(silent.windows.ratios, np.nan))
    plot_timeline(replace(silent, windows=nothing), tmp_path / "a.svg")
    plot_timeline(replace(silent, windows=None), tmp_path / "b.svg")
    assert "LLR, nats a frame" not in texts(tmp_path / "b.svg")


def test_the_name_must_say_what_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a name that ends in \.png or \.svg"):
        plot_timeline(meeting(), tmp_path / "a.pdf")
    with pytest.raises(UsageError, match="there is no folder"):
        plot_timeline(meeting(), tmp_path / "missing" / "a.png")
    assert not [*tmp_path.iterdir()]
