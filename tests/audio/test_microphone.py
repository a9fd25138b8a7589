"""The microphone, with an invented sounddevice: no test needs a device."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import soundfile
import soxr

from speakerid.audio import microphone as module
from speakerid.audio.microphone import InputDevice, Microphone, list_devices, record
from speakerid.errors import MissingExtraError, RecordingError, UsageError


class PortAudioError(Exception):
    pass


class InvalidRateError(PortAudioError):
    def __init__(self) -> None:
        super().__init__("Error opening InputStream: Invalid sample rate", -9997)


def device(name: str, channels: int, rate: float, hostapi: int = 0) -> dict:
    return {"name": name, "max_input_channels": channels, "default_samplerate": rate, "hostapi": hostapi}


class Stream:
    """Gives all its sound when it is started; a test says what."""

    def __init__(self, world: World, **options) -> None:
        self.world, self.options = world, options
        world.asked.append((options["samplerate"], options["channels"], options["device"]))
        fault = world.faults.get(options["samplerate"])
        if fault is not None:
            raise fault
        self.active = False
        world.streams.append(self)
        self.calls: list[str] = []

    def start(self) -> None:
        if self.world.start_fault is not None:
            raise self.world.start_fault
        self.active = True
        rate, size = self.options["samplerate"], self.options["blocksize"]
        reused = np.empty((size, self.options["channels"]), np.float32)
        for start in range(0, len(self.world.sound), size):
            piece = self.world.sound[start : start + size, : self.options["channels"]]
            reused[: len(piece)] = piece
            number = start // size
            overflow = number in self.world.overflows
            late = self.world.late.get(number, 0.0)
            self.options["callback"](
                reused[: len(piece)],
                len(piece),
                types.SimpleNamespace(inputBufferAdcTime=100 + start / rate + late),
                types.SimpleNamespace(input_overflow=overflow),
            )
            reused[:] = 99.0  # PortAudio's memory is its own
        self.active = self.world.goes_on
        if not self.active and self.world.tells:
            self.options["finished_callback"]()

    def abort(self) -> None:
        self.calls.append("abort")

    def close(self) -> None:
        self.calls.append("close")


class World(types.ModuleType):
    """A module `sounddevice` with the devices of a computer."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.devices = [
            device("Speakers", 0, 48000.0),
            device("Built-in", 2, 48000.0),
            device("USB Audio: mono", 1, 16000.0, 1),
        ]
        self.default = types.SimpleNamespace(device=[1, 0])
        self.sound = np.random.default_rng(5).normal(0, 0.1, (24000, 2)).astype(np.float32)
        self.asked: list[tuple[int, int, int]] = []
        self.streams: list[Stream] = []
        self.faults: dict[int, Exception] = {}
        self.start_fault: Exception | None = None
        self.overflows: set[int] = set()
        self.late: dict[int, float] = {}
        self.goes_on, self.tells = False, True

    def query_hostapis(self, number: int) -> dict:
        return {"name": ("ALSA", "JACK")[number]}

    def query_devices(self, wanted=None, kind=None):
        if kind is None:
            return self.devices
        if wanted is None:
            wanted = self.default.device[0]
        if isinstance(wanted, str):
            found = [i for i, each in enumerate(self.devices) if wanted.lower() in each["name"].lower()]
            if len(found) != 1:
                many = f"Multiple input devices found for {wanted!r}:\n"
                raise ValueError(many if found else f"No input device matching {wanted!r}")
            (wanted,) = found
        if not 0 <= wanted < len(self.devices):
            raise PortAudioError(f"Error querying device {wanted}")
        if not self.devices[wanted]["max_input_channels"]:
            raise ValueError(f"Not an input device: {self.devices[wanted]['name']!r}")
        return {**self.devices[wanted], "index": wanted}

    def InputStream(self, **options) -> Stream:  # noqa: N802 - sounddevice's name
        return Stream(self, **options)


@pytest.fixture
def world(monkeypatch) -> World:
    invented = World()
    monkeypatch.setitem(sys.modules, "sounddevice", invented)
    return invented


def heard(microphone: Microphone) -> np.ndarray:
    """All sound until the device ends."""
    blocks = []
    with pytest.raises(RecordingError, match="gives no more sound"):
        blocks.extend(_kept(microphone, blocks))
    return np.concatenate(blocks)


def _kept(stream, blocks):
    for block in stream:
        blocks.append(block)
    return ()


def test_devices_are_listed(world):
    assert list_devices() == (
        InputDevice(1, "Built-in", "ALSA", 2, 48000, True),
        InputDevice(2, "USB Audio: mono", "JACK", 1, 16000, False),
    )
    world.devices = world.devices[:1]
    assert list_devices() == ()


def test_sound_is_that_of_the_device_resampled_as_recordings_are(world):
    with Microphone(16000) as microphone:
        assert world.asked == [(48000, 1, 1)]
        assert (microphone.device_name, microphone.sample_rate, microphone.source_rate) == ("Built-in", 16000, 48000)
        blocks = iter(microphone)
        first = next(blocks)
        assert first.dtype == np.float32
        assert microphone.seconds == pytest.approx(0.1)
    expected = soxr.ResampleStream(48000, 16000, 1, dtype="float32", quality="HQ").resample_chunk(world.sound[:, 0])
    np.testing.assert_array_equal(first, expected[: len(first)])
    assert world.streams[0].calls == ["abort", "close"]
    with Microphone(None) as microphone:
        assert microphone.sample_rate == 48000
        np.testing.assert_array_equal(heard(microphone), world.sound[:, 0])
        assert microphone.peak == np.abs(world.sound[:, 0]).max()
        assert (microphone.clipped_fraction, microphone.lost_seconds) == (0, 0)


@pytest.mark.parametrize(("wanted", "number"), [(2, 2), ("usb", 2), ("Built", 1), (None, 1)])
def test_a_device_is_named_by_number_or_part_of_its_name(world, wanted, number):
    with Microphone(16000, device=wanted):
        assert world.asked[-1][2] == number


def test_a_channel_is_chosen(world):
    with Microphone(48000, channel=2) as microphone:
        assert world.asked == [(48000, 2, 1)]
        np.testing.assert_array_equal(heard(microphone), world.sound[:, 1])
    with pytest.raises(RecordingError, match=r"Built-in: has 2 channels, so there is no channel 3"):
        Microphone(48000, channel=3)
    with pytest.raises(RecordingError, match=r"USB Audio: mono: has 1 channel, so there is no channel 2"):
        Microphone(48000, device=2, channel=2)


def test_a_device_that_refuses_its_own_rate_is_asked_for_the_one_wanted(world):
    world.faults = {48000: InvalidRateError()}
    with Microphone(16000) as microphone:
        assert (microphone.source_rate, microphone.sample_rate) == (16000, 16000)
    world.faults[16000] = InvalidRateError()
    with pytest.raises(RecordingError, match="takes neither its own sample rate nor the one of the models"):
        Microphone(16000)
    assert [rate for rate, _, _ in world.asked] == [48000, 16000] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Device unavailable", -9985), "another program uses it"),
        (("Invalid number of channels", -9998), "cannot give 1 channels"),
        (("Unanticipated host error", -9999, (2, 5, "broken")), "cannot be opened (Unanticipated host error)"),
        ((), "cannot be opened"),
    ],
)
def test_a_device_that_cannot_be_opened(world, arguments, message):
    world.faults = dict.fromkeys((48000, 16000), PortAudioError(*arguments))
    with pytest.raises(RecordingError) as caught:
        Microphone(16000)
    assert message in str(caught.value)
    assert str(caught.value).startswith("microphone Built-in: ")
    assert not world.streams


def test_no_device_at_all_and_no_default(world):
    world.default.device = [-1, 0]
    with pytest.raises(RecordingError, match="no microphone is the system's default; name one with --device"):
        Microphone(16000)
    world.devices = world.devices[:1]
    for wanted in (None, "usb", 7):
        with pytest.raises(RecordingError, match="no microphone: the system shows no input device"):
            Microphone(16000, device=wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("violin", "no input device is 'violin'"),
        (7, "no input device is '7'"),
        (0, "no input device is '0'"),
        ("u", "several input devices match 'u'"),
    ],
)
def test_a_wrong_name_is_a_wrong_request(world, wanted, message):
    with pytest.raises(UsageError, match=message) as caught:
        Microphone(16000, device=wanted)
    assert "--list-devices" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for action in (list_devices, lambda: Microphone(16000)):
        with pytest.raises(MissingExtraError, match=r'pip install "speakerid-gmm\[mic\]"'):
            action()

    def fail(_name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(module, "import_module", fail)
    with pytest.raises(MissingExtraError, match="apt install libportaudio2"):
        list_devices()


def test_a_device_that_is_pulled_out_in_the_middle(world, monkeypatch):
    with Microphone(48000) as microphone, pytest.raises(RecordingError) as caught:
        list(microphone)
    assert str(caught.value) == (
        "microphone Built-in: stopped after 0.50 s: the device gives no more sound; is it still connected?"
    )
    assert caught.value.reason == "truncated"
    # and one of which PortAudio says nothing, or which is there and gives nothing
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)
    for world.goes_on in (False, True):
        world.tells = False
        with Microphone(48000) as microphone:
            assert len(heard(microphone)) == 24000


def test_a_device_that_cannot_be_started(world):
    world.start_fault = PortAudioError("Error starting stream: Device unavailable", -9985)
    with Microphone(16000) as microphone, pytest.raises(RecordingError, match="Device unavailable"):
        next(iter(microphone))
    assert world.streams[0].calls == ["abort", "close"]


def test_a_fault_at_the_end_is_nobodys_business(world):
    with Microphone(16000):
        world.streams[0].abort = world.streams[0].close = lambda: (_ for _ in ()).throw(PortAudioError("gone"))


def test_sound_that_does_not_fit_is_counted(world, monkeypatch):
    monkeypatch.setattr(module, "_QUEUE_SECONDS", 0.3)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)
    with Microphone(48000) as microphone:
        np.testing.assert_array_equal(heard(microphone), world.sound[: 3 * 4800, 0])
        assert microphone.lost_seconds == pytest.approx(0.2)
        assert microphone.seconds == pytest.approx(0.3)


def test_what_portaudio_lost_is_taken_from_its_clock(world):
    world.overflows, world.late = {2}, {2: 0.25, 3: 0.25, 4: 0.25}
    with Microphone(48000) as microphone:
        heard(microphone)
        assert microphone.lost_seconds == pytest.approx(0.25)
    # a clock that does not run, and an overflow before the first block: a block at least
    for world.overflows, world.late in (({2}, {}), ({0}, {})):
        with Microphone(48000) as microphone:
            heard(microphone)
            assert microphone.lost_seconds == pytest.approx(0.1)


def test_a_wrong_rate_gives_the_device_back(world):
    with pytest.raises(UsageError):
        Microphone(0)
    assert world.streams[0].calls == ["abort", "close"]
    world.devices[1]["default_samplerate"] = 3000.0
    with pytest.raises(RecordingError, match="3000 Hz"):
        Microphone(16000)
    assert world.streams[1].calls == ["abort", "close"]


def test_recording_to_a_file(world, tmp_path):
    peaks = []
    with Microphone(None) as microphone:
        record(microphone, tmp_path / "a.wav", 0.25, lambda block: peaks.append(np.abs(block).max()))
    samples, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert (rate, soundfile.info(tmp_path / "a.wav").subtype) == (48000, "PCM_16")
    np.testing.assert_allclose(samples, world.sound[:12000, 0], atol=1 / 32000)
    assert len(peaks) == 3
    with Microphone(None) as microphone, pytest.raises(RecordingError, match="gives no more sound"):
        record(microphone, tmp_path / "a.wav", 9)
