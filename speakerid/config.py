"""Settings: frozen dataclasses, TOML in and out.

A config file has one table a room::

    [front_end]
    cepstra = 20

    [training]
    components = 16

What is left out keeps its default; an unknown table or key, a value of the wrong type or out of its range is a
:class:`~speakerid.errors.ConfigError` that names it. ``configs/default.toml`` lists every setting with its default.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from speakerid.errors import ConfigError

__all__ = [
    "MAXIMUM_LIKELIHOOD_ONLY",
    "Config",
    "ConfigValues",
    "DecisionConfig",
    "FrontEndConfig",
    "TimelineConfig",
    "TrainingConfig",
    "WorldConfig",
    "differences",
    "from_dict",
    "from_stored",
    "load_config",
    "to_dict",
    "to_toml",
]


_LONGEST_FILE = 1 << 20


def _range(low: float, high: float, *, exclusive_low: bool = False) -> dict[str, tuple[float, float, bool]]:
    return {"range": (low, high, exclusive_low)}


def _number(default: Any, low: float, high: float = math.inf, *, exclusive_low: bool = False) -> Any:
    """Return a dataclass field that :func:`_check` holds to a range."""
    return field(default=default, metadata=_range(low, high, exclusive_low=exclusive_low))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndConfig:
    """From samples to features. Stored with every model; a store answers only to the front end it was made with.

    Attributes
    ----------
    engine : {"speakerid", "librosa"}
        Who computes the spectrum and the cepstra: our own code, or librosa (the same features, slower).
    sample_rate : int
        Rate in Hz that all audio is resampled to.
    pre_emphasis : float
        Coefficient a of y[n] = x[n] − a·x[n−1]; 0 switches it off.
    frame_length_ms, frame_shift_ms : float
        Length and distance of the frames in milliseconds.
    window : {"hamming", "hann", "povey", "rectangular"}
        Taper of a frame, periodic form ("povey" is Hann to the power 0.85, as in Kaldi).
    fft_size : int
        Points of the Fourier transform; 0 takes the next power of two.
    centred : bool
        True: frame t is centred on sample t·shift and the ends are padded with zeros (librosa's ``center=True``).
        False: the first frame starts at sample 0 and only whole frames count.
    mel_bands : int
        Number of triangular filters.
    mel_low_hz, mel_high_hz : float
        Band edges; 0 for the high edge means half the sample rate.
    mel_scale : {"htk", "slaney"}
        Formula of the mel scale.
    mel_norm : {"none", "slaney"}
        Filters of height one, or of equal area.
    log : {"natural", "decibel"}
        Logarithm of the mel energies: ln E or 10·log10 E.
    log_floor : float
        Energies below this are raised to it.
    level_range_db : float
        A floor so far below the level of the recording's loud frames (95th percentile, 100 Hz to 4 kHz, a full-scale sine
        being 1) is added to the energies of the mel bands: it follows the microphone's gain. 0 adds none.
    dynamic_range_db : float
        Energies more than this below the recording's largest are raised to it; 0 switches it off.
    cepstra : int
        Number of cepstral coefficients, c0 included.
    lifter : int
        Sinusoidal lifter L: c_n·(1 + L/2·sin(π(n+1)/L)); 0 switches it off.
    c0 : {"level_removed", "mean_removed", "keep", "drop"}
        What happens to c0, which follows the microphone's gain: the level of the loud frames is taken out (the default), or
        its mean over the speech.
    deltas : int
        Order of the derivatives that are appended: 0, 1 (Δ) or 2 (Δ and ΔΔ).
    delta_window : int
        Frames on each side in the regression that gives Δ.
    normalisation : {"none", "mean", "mean_variance"}
        Per-recording normalisation of all features over the speech frames (cepstral mean and variance normalisation).
    speech_activity : {"voicing", "energy", "none"}
        How frames of speech are found: energy and nearness to voiced frames; energy alone; all frames.
    speech_range_db : float
        A frame more than this below the recording's loud frames is not speech.
    speech_floor_db : float
        A frame quieter than this (dB relative to full scale) is never speech.
    speech_evidence : float
        How speech-like a recording must be as a whole for any of its frames to count as speech (see
        ``speakerid.frontend.activity``); 0 switches the test off.
    voicing_threshold : float
        Normalised autocorrelation in the pitch range, 0..1, from which a frame counts as voiced.
    voicing_reach_ms : float
        A frame further than this from the next voiced frame is not speech.
    """

    engine: Literal["speakerid", "librosa"] = "speakerid"
    sample_rate: int = _number(16000, 4000, 192000)
    pre_emphasis: float = _number(0.97, 0.0, 1.0)
    frame_length_ms: float = _number(25.0, 1.0, 1000.0)
    frame_shift_ms: float = _number(10.0, 1.0, 1000.0)
    window: Literal["hamming", "hann", "povey", "rectangular"] = "hann"
    fft_size: int = _number(0, 0, 65536)
    centred: bool = False
    mel_bands: int = _number(36, 2, 512)
    mel_low_hz: float = _number(20.0, 0.0, 96000.0)
    mel_high_hz: float = _number(0.0, 0.0, 96000.0)
    mel_scale: Literal["htk", "slaney"] = "htk"
    mel_norm: Literal["none", "slaney"] = "none"
    log: Literal["natural", "decibel"] = "natural"
    log_floor: float = _number(1e-14, 1e-37, 1.0)
    level_range_db: float = _number(40.0, 0.0, 400.0)
    dynamic_range_db: float = _number(0.0, 0.0, 400.0)
    cepstra: int = _number(20, 1, 512)
    lifter: int = _number(0, 0, 1000)
    c0: Literal["level_removed", "mean_removed", "keep", "drop"] = "level_removed"
    deltas: int = _number(1, 0, 2)
    delta_window: int = _number(2, 1, 50)
    normalisation: Literal["none", "mean", "mean_variance"] = "none"
    speech_activity: Literal["voicing", "energy", "none"] = "voicing"
    speech_range_db: float = _number(60.0, 0.0, 200.0)
    speech_floor_db: float = _number(-90.0, -200.0, 0.0)
    speech_evidence: float = _number(6.5, 0.0, 100.0)
    voicing_threshold: float = _number(0.6, 0.0, 1.0)
    voicing_reach_ms: float = _number(300.0, 0.0, 60000.0)

    def __post_init__(self) -> None:
        _check(self, "front_end")
        if self.cepstra > self.mel_bands:
            _refuse("front_end", "cepstra", self.cepstra, f"at most mel_bands = {self.mel_bands}")
        if self.c0 == "drop" and self.cepstra < 2:
            _refuse("front_end", "cepstra", self.cepstra, "at least 2 when c0 is dropped")
        if self.frame_shift_ms > self.frame_length_ms:
            _refuse(
                "front_end", "frame_shift_ms", self.frame_shift_ms, f"at most frame_length_ms = {self.frame_length_ms}"
            )
        high = self.mel_high_hz or self.sample_rate / 2
        if high > self.sample_rate / 2:
            _refuse("front_end", "mel_high_hz", self.mel_high_hz, f"at most half the rate, {self.sample_rate / 2:g}")
        if self.mel_low_hz >= high:
            _refuse("front_end", "mel_low_hz", self.mel_low_hz, f"below the high edge, {high:g}")
        if self.fft_size and self.fft_size < self.frame_length:
            _refuse("front_end", "fft_size", self.fft_size, f"0 or at least a frame, {self.frame_length}")

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return max(round(self.sample_rate * self.frame_length_ms / 1000), 1)

    @property
    def frame_shift(self) -> int:
        """Samples from one frame to the next."""
        return max(round(self.sample_rate * self.frame_shift_ms / 1000), 1)

    @property
    def transform_size(self) -> int:
        """Points of the Fourier transform."""
        return self.fft_size or 1 << (self.frame_length - 1).bit_length()

    @property
    def n_static(self) -> int:
        """Static cepstra that are kept: c0 counts unless it is dropped."""
        return self.cepstra - (self.c0 == "drop")

    @property
    def n_features(self) -> int:
        """Columns of the feature matrix."""
        return self.n_static * (1 + self.deltas)


#: Settings of the training that count for maximum likelihood only.
MAXIMUM_LIKELIHOOD_ONLY = frozenset(
    {"components", "covariance", "minimum_frames_per_component", "initialisation", "iterations", "tolerance", "seed"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """From a speaker's features to a mixture.

    Attributes
    ----------
    method : {"auto", "ml", "map"}
        Adaptation of a world model by maximum a posteriori, for which only `relevance_factor`, `adapted` and
        `variance_floor` count; or maximum likelihood by EM, from the speaker's features alone, for which the others do.
        "auto" becomes "ml" where one of those others is set, else "map".
    relevance_factor : float
        r of the adaptation, in frames: a component that has seen so many goes half of the way to the speaker.
    adapted : {"means", "means_variances", "all"}
        What is adapted: means; variances too; weights too.
    components : int or "auto"
        Gaussians a speaker, K; "auto" chooses it for each speaker by the Bayesian information criterion.
    covariance : {"diagonal", "spherical", "tied", "full"}
        Shape of the covariances Σ_k.
    minimum_frames_per_component : int
        A speaker with less speech gets fewer components, so that each has this many frames on average; it is reported.
    initialisation : {"splitting", "kmeans", "random"}
        Binary splitting (deterministic), k-means with k-means++ seeds, or frames drawn at random as means.
    iterations : int
        EM iterations at most.
    tolerance : float
        EM stops when the mean log-likelihood rises by less than this, in nats a frame.
    variance_floor : float
        Floor of a variance, relative to that feature's variance over all the speaker's frames (of a spherical variance: to
        the mean over the features; of an eigenvalue of a tied or full covariance: to the frames' covariance). Training in
        float32 loses digits of the likelihood with floors below 1e-4.
    seed : int
        Seed of the generator that k-means and random frames draw from.
    """

    method: Literal["auto", "ml", "map"] = "auto"
    relevance_factor: float = _number(4.0, 0.0, 1e6)
    adapted: Literal["means", "means_variances", "all"] = "means"
    components: int | Literal["auto"] = _number(16, 1, 65536)
    covariance: Literal["diagonal", "spherical", "tied", "full"] = "diagonal"
    minimum_frames_per_component: int = _number(8, 1, 1000000)
    initialisation: Literal["splitting", "kmeans", "random"] = "splitting"
    iterations: int = _number(20, 0, 10000)
    tolerance: float = _number(1e-4, 0.0, 1e6)
    variance_floor: float = _number(0.1, 0.0, 1.0, exclusive_low=True)
    seed: int = _number(0, 0, 2**63 - 1)

    def __post_init__(self) -> None:
        _check(self, "training")
        unlike = [item.name for item in dataclasses.fields(self)
                  if item.name in MAXIMUM_LIKELIHOOD_ONLY and getattr(self, item.name) != item.default]  # fmt: skip
        if self.method == "auto":
            object.__setattr__(self, "method", "ml" if unlike else "map")
        elif self.method == "map" and unlike:
            _refuse(
                "training", unlike[0], getattr(self, unlike[0]), 'it left out, because it counts for method = "ml" only'
            )

    @property
    def only_means(self) -> bool:
        """Weights and variances of every speaker are the world model's."""
        return self.method == "map" and self.adapted == "means"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """The world model.

    Attributes
    ----------
    file : str
        Made by ``speakerid world train``; relative to the config file. "auto": the one that comes with the program for these
        features, if there is one. Empty: none. A store keeps a copy of its own.
    top_components : int
        Adapted speakers are scored by so many components of the world model a frame, those that fit it best; as many as the
        world has, or more, are all.
    compensation : {"environment", "none"}
        Whether the world model and the speakers are put into the noise and the band of each recording that is asked, where
        these differ from those of the enrolment. It counts when recordings are asked; stores do not keep it.
    """

    file: str = "auto"
    top_components: int = _number(10, 1, 65536)
    compensation: Literal["environment", "none"] = "environment"

    def __post_init__(self) -> None:
        _check(self, "world")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionConfig:
    """From scores to an answer.

    Attributes
    ----------
    minimum_speech_seconds : float
        A recording with less speech is `undecided` (too_short).
    false_accept_rate : float
        Share of strangers' recordings that may get a name, 0..1: a recording that could not be named without more is
        "unknown". In verification, the share of false claims that may be accepted.
    """

    minimum_speech_seconds: float = _number(0.1, 0.0, 3600.0)
    false_accept_rate: float = _number(0.02, 0.0, 0.99, exclusive_low=True)

    def __post_init__(self) -> None:
        _check(self, "decision")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineConfig:
    """Who speaks when. It counts when recordings are asked; stores do not keep it.

    Attributes
    ----------
    window_seconds : float
        Frame log-likelihoods are summed over windows of this length.
    hop_seconds : float
        From one window to the next: what boundaries between voices are rounded to.
    change_cost : float
        Evidence, in nats, that a change of the voice needs: e^−cost is how likely one is at any moment.
    longest_pause_seconds : float
        A shorter pause of one voice belongs to its segment.
    shortest_turn_seconds : float
        Nobody speaks for less than this without somebody else or silence.
    shortest_silence_seconds : float
    longest_delay_seconds : float
        After so long it is decided who was speaking, whatever comes; mostly it is clear long before.
    """

    window_seconds: float = _number(1.5, 0.1, 3600.0)
    hop_seconds: float = _number(0.1, 0.0, 3600.0, exclusive_low=True)
    change_cost: float = _number(2.0, 0.0, 1e6)
    longest_pause_seconds: float = _number(1.5, 0.0, 3600.0, exclusive_low=True)
    shortest_turn_seconds: float = _number(0.5, 0.0, 3600.0)
    shortest_silence_seconds: float = _number(0.1, 0.0, 3600.0)
    longest_delay_seconds: float = _number(10.0, 0.0, 3600.0)

    def __post_init__(self) -> None:
        _check(self, "timeline")
        if self.hop_seconds > self.window_seconds:
            _refuse("timeline", "hop_seconds", self.hop_seconds, f"at most window_seconds = {self.window_seconds:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, one attribute a table of the TOML file."""

    front_end: FrontEndConfig = field(default_factory=FrontEndConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    world: WorldConfig = field(default_factory=WorldConfig)
    timeline: TimelineConfig = field(default_factory=TimelineConfig)


def _refuse(table: str, key: str, value: object, expected: str) -> None:
    raise ConfigError(f"[{table}] {key} = {_toml_value(value)}: expected {expected}")


def _check(settings: Any, table: str) -> None:
    """Hold every field of a settings object to its type and its range."""
    hints = typing.get_type_hints(type(settings))
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        hint = hints[item.name]
        if typing.get_origin(hint) is typing.Union:
            # a number or a word
            hint, words = typing.get_args(hint)
            if value in typing.get_args(words):
                continue
            if type(value) is not hint:
                _refuse(
                    table,
                    item.name,
                    value,
                    "a whole number or " + " or ".join(map(_toml_value, typing.get_args(words))),
                )
        if typing.get_origin(hint) is Literal:
            choices = typing.get_args(hint)
            if value not in choices:
                _refuse(table, item.name, value, "one of " + ", ".join(map(_toml_value, choices)))
            continue
        if hint is float and type(value) is int:
            try:
                value = float(value)
            except OverflowError:
                value = math.inf  # refused below, as a number out of range
            object.__setattr__(settings, item.name, value)
        if type(value) is not hint:  # `is`: True is an int to isinstance
            names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
            _refuse(table, item.name, value, names[hint])
        if "range" in item.metadata:
            low, high, exclusive_low = item.metadata["range"]
            if not (low < value if exclusive_low else low <= value) or not value <= high or not math.isfinite(value):
                above = "above" if exclusive_low else "at least"
                limit = "" if math.isinf(high) else f" and at most {high:g}"
                _refuse(table, item.name, value, f"{above} {low:g}{limit}")


ConfigValues = TypeVar("ConfigValues", Config, FrontEndConfig, TrainingConfig, DecisionConfig, WorldConfig)


def to_dict(settings: Any) -> dict[str, Any]:
    """Return settings as plain nested dictionaries of numbers, texts and booleans."""
    return dataclasses.asdict(settings)


def from_dict(kind: type[ConfigValues], values: object, *, where: str = "") -> ConfigValues:
    """Build settings from nested dictionaries, as read from TOML or JSON.

    Parameters
    ----------
    kind : type
        :class:`Config` or one of its tables.
    values : dict
        What is left out keeps its default.
    where : str
        File name for messages.

    Raises
    ------
    ConfigError
        An unknown key, a value of the wrong type or out of its range.
    """
    settings: ConfigValues = _build(kind, values, file=f"{where}: " if where else "")
    return settings


#: What the program did before it had these settings, for files that do not name them.
_BEFORE: dict[str, dict[str, object]] = {
    "FrontEndConfig": {"level_range_db": 0.0, "c0": "mean_removed"},
    "TrainingConfig": {"method": "ml"},
}


def from_stored(kind: type[ConfigValues], values: object) -> ConfigValues:
    """Build settings that a store or a world model carries: what an older program did not name is what it did.

    Raises
    ------
    ConfigError
        As :func:`from_dict`.
    """
    if isinstance(values, dict):
        values = _BEFORE.get(kind.__name__, {}) | values
    return from_dict(kind, values)


def _build(kind: type[Any], values: object, *, file: str, table: str = "") -> Any:
    """Build settings, or one table of them; `file` and `table` are for messages."""
    label = f"{file}[{table}]: " if table else file
    if not isinstance(values, dict):
        raise ConfigError(f"{label}expected a table, got {values!r}")
    known = {item.name: item for item in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            what = "table" if kind is Config else "setting"
            raise ConfigError(f"{label}unknown {what} {key!r}; known: {', '.join(known)}")
        is_table = dataclasses.is_dataclass(hints[key])
        arguments[key] = _build(hints[key], value, file=file, table=key) if is_table else value
    if kind is TrainingConfig and "method" not in arguments and not MAXIMUM_LIKELIHOOD_ONLY.isdisjoint(arguments):
        arguments["method"] = "ml"  # also where the value given is the default
    try:
        return kind(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{file}{error}") from None


def load_config(path: str | Path) -> Config:
    """Read a TOML config file.

    Raises
    ------
    ConfigError
        The file is missing, not TOML, or has a wrong setting.
    """
    try:
        if Path(path).exists() and not (Path(path).is_file() or Path(path).is_dir()):
            raise ConfigError(f"{path}: cannot read the config file: not a regular file")
        with Path(path).open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
        if len(data) > _LONGEST_FILE:
            raise ConfigError(f"{path}: cannot read the config file: it is longer than 1 MiB")
        text = data.decode("utf-8")
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot read the config file: {what}") from None
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, brackets without end
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    config = from_dict(Config, values, where=str(path))
    if config.world.file not in ("", "auto"):
        beside = Path(path).parent / config.world.file
        config = dataclasses.replace(config, world=dataclasses.replace(config.world, file=str(beside)))
    return config


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted) + '"'
    return repr(value)


def to_toml(config: Config) -> str:
    """Write a config as TOML text that :func:`load_config` reads back to an equal config."""
    lines: list[str] = []
    for table, settings in to_dict(config).items():
        lines += [f"[{table}]", *(f"{key} = {_toml_value(value)}" for key, value in settings.items()), ""]
    return "\n".join(lines)


def differences(first: ConfigValues, second: ConfigValues) -> list[str]:
    """Name the settings that differ: ``["cepstra: 20 against 13", ...]``."""
    one, other = to_dict(first), to_dict(second)
    return [
        f"{key}: {_toml_value(one[key])} against {_toml_value(other[key])}" for key in one if one[key] != other[key]
    ]
