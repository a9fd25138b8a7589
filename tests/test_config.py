"""Settings: what TOML gives back, and what is refused and how."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speakerid.config import (
    MAXIMUM_LIKELIHOOD_ONLY,
    Config,
    DecisionConfig,
    FrontEndConfig,
    TrainingConfig,
    WorldConfig,
    differences,
    from_dict,
    load_config,
    to_dict,
    to_toml,
)
from speakerid.errors import ConfigError, UsageError

DEFAULT_TOML = Path(__file__).parents[1] / "configs" / "default.toml"
TABLES: dict[str, type] = {"front_end": FrontEndConfig, "training": TrainingConfig, "decision": DecisionConfig,
                           "world": WorldConfig}  # fmt: skip


def between(low: float, high: float, *, exclude_min: bool = False) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_min=exclude_min, allow_nan=False)


@st.composite
def front_ends(draw: st.DrawFn) -> FrontEndConfig:
    """Any valid front end: every field is drawn from its whole range, then held to the rules that join fields."""
    rate = draw(st.integers(4000, 192000))
    length = draw(between(1, 1000))
    bands = draw(st.integers(2, 512))
    c0 = draw(st.sampled_from(["level_removed", "mean_removed", "keep", "drop"]))
    high = draw(st.just(0.0) | between(1.0, rate / 2))
    frame = max(round(rate * length / 1000), 1)
    values: dict[str, Any] = {
        "engine": draw(st.sampled_from(["speakerid", "librosa"])),
        "sample_rate": rate,
        "pre_emphasis": draw(between(0, 1)),
        "frame_length_ms": length,
        "frame_shift_ms": draw(between(1, length)),
        "window": draw(st.sampled_from(["hamming", "hann", "povey", "rectangular"])),
        "fft_size": 0 if frame > 65536 else draw(st.just(0) | st.integers(frame, 65536)),
        "centred": draw(st.booleans()),
        "mel_bands": bands,
        "mel_low_hz": draw(between(0, (high or rate / 2) * 0.999)),
        "mel_high_hz": high,
        "mel_scale": draw(st.sampled_from(["htk", "slaney"])),
        "mel_norm": draw(st.sampled_from(["none", "slaney"])),
        "log": draw(st.sampled_from(["natural", "decibel"])),
        "log_floor": draw(between(1e-37, 1)),
        "dynamic_range_db": draw(between(0, 400)),
        "level_range_db": draw(between(0, 400)),
        "cepstra": draw(st.integers(2 if c0 == "drop" else 1, bands)),
        "lifter": draw(st.integers(0, 1000)),
        "c0": c0,
        "deltas": draw(st.integers(0, 2)),
        "delta_window": draw(st.integers(1, 50)),
        "normalisation": draw(st.sampled_from(["none", "mean", "mean_variance"])),
        "speech_activity": draw(st.sampled_from(["voicing", "energy", "none"])),
        "speech_range_db": draw(between(0, 200)),
        "speech_floor_db": draw(between(-200, 0)),
        "speech_evidence": draw(between(0, 100)),
        "voicing_threshold": draw(between(0, 1)),
        "voicing_reach_ms": draw(between(0, 60000)),
    }
    assert set(values) == {item.name for item in dataclasses.fields(FrontEndConfig)}
    return FrontEndConfig(**values)


def trainings() -> st.SearchStrategy[TrainingConfig]:
    values: dict[str, st.SearchStrategy[Any]] = {
        "method": st.sampled_from(["ml", "map"]),
        "relevance_factor": between(0, 1e6),
        "adapted": st.sampled_from(["means", "means_variances", "all"]),
        "components": st.integers(1, 65536) | st.just("auto"),
        "covariance": st.sampled_from(["diagonal", "spherical", "tied", "full"]),
        "minimum_frames_per_component": st.integers(1, 1000000),
        "initialisation": st.sampled_from(["splitting", "kmeans", "random"]),
        "iterations": st.integers(0, 10000),
        "tolerance": between(0, 1e6),
        "variance_floor": between(0, 1, exclude_min=True),
        "seed": st.integers(0, 2**63 - 1),
    }
    assert set(values) == {item.name for item in dataclasses.fields(TrainingConfig)}

    @st.composite
    def drawn(draw: st.DrawFn) -> TrainingConfig:
        settings = {name: draw(strategy) for name, strategy in values.items()}
        if settings["method"] == "map":
            for name in MAXIMUM_LIKELIHOOD_ONLY:  # what has no meaning there is not set
                del settings[name]
        return TrainingConfig(**settings)

    return drawn()


def configs() -> st.SearchStrategy[Config]:
    assert {item.name for item in dataclasses.fields(DecisionConfig)} == {
        "minimum_speech_seconds",
        "false_accept_rate",
    }
    decisions = st.builds(
        DecisionConfig,
        minimum_speech_seconds=between(0, 3600),
        false_accept_rate=between(0, 0.99, exclude_min=True),
    )
    assert {item.name for item in dataclasses.fields(WorldConfig)} == {"file", "top_components", "compensation"}
    files = st.sampled_from(["", "auto", "/models/world.gmm", "/a 'b'/\"ü\".gmm"])
    worlds = st.builds(
        WorldConfig,
        top_components=st.integers(1, 65536),
        file=files,
        compensation=st.sampled_from(["environment", "none"]),
    )
    return st.builds(Config, front_end=front_ends(), training=trainings(), decision=decisions, world=worlds)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


# There and back


@given(configs())
@settings(max_examples=60, deadline=None)
def test_toml_gives_back_every_field(config: Config) -> None:
    back = from_dict(Config, tomllib.loads(to_toml(config)))
    assert back == config
    for table in TABLES:  # also to the type: 1 == 1.0 == True in Python
        one, other = to_dict(config)[table], to_dict(back)[table]
        assert {key: (type(value), value) for key, value in one.items()} == {
            key: (type(value), value) for key, value in other.items()
        }


@given(configs())
@settings(max_examples=30, deadline=None)
def test_dictionaries_give_back_every_field(config: Config) -> None:
    assert from_dict(Config, to_dict(config)) == config


def test_a_file_gives_back_its_config(tmp_path: Path) -> None:
    config = Config(front_end=FrontEndConfig(cepstra=13, window="povey"), training=TrainingConfig(seed=2**63 - 1))
    assert load_config(written(tmp_path, to_toml(config))) == config
    assert load_config(str(tmp_path / "my.toml")) == config


def test_what_is_left_out_keeps_its_default(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "")) == Config()
    config = load_config(written(tmp_path, "[front_end]\ncepstra = 13\n"))
    assert config == Config(front_end=FrontEndConfig(cepstra=13))
    assert config.training.components == 16


def test_default_toml_lists_every_setting_with_its_default() -> None:
    assert load_config(DEFAULT_TOML) == Config()
    listed = tomllib.loads(DEFAULT_TOML.read_text(encoding="utf-8"))
    assert {table: set(keys) for table, keys in listed.items()} == {
        table: set(keys) for table, keys in to_dict(Config()).items()
    }


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FrontEndConfig().cepstra = 13  # type: ignore[misc]
    assert hash(FrontEndConfig(frame_shift_ms=10)) == hash(FrontEndConfig(frame_shift_ms=10.0))


# What is refused, and how


@pytest.mark.parametrize("table", TABLES)
def test_an_unknown_setting_is_named_with_file_table_and_the_known_ones(tmp_path: Path, table: str) -> None:
    path = written(tmp_path, f"[{table}]\ncepstrum = 20\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: [{table}]")
    assert "'cepstrum'" in message
    for item in dataclasses.fields(TABLES[table]):
        assert item.name in message


def test_an_unknown_table_is_named_with_the_known_ones(tmp_path: Path) -> None:
    path = written(tmp_path, "[frontend]\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: unknown table 'frontend'")
    assert "front_end, training, decision, world" in str(caught.value)


def test_a_setting_outside_any_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'cepstra'"):
        load_config(written(tmp_path, "cepstra = 20\n"))


@pytest.mark.parametrize("value", ["3", "[]", '"x"', "[[1]]", "true"])
def test_a_table_that_is_no_table_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"\[training\]: expected a table"):
        load_config(written(tmp_path, f"training = {value}\n"))


def test_an_array_of_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[training\]: expected a table"):
        load_config(written(tmp_path, "[[training]]\ncomponents = 3\n"))


def test_dictionaries_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected a table"):
        from_dict(Config, [("front_end", {})])


WRONG_TYPES = {
    int: ["true", "2.0", '"2"', "[2]", "{a = 2}", "2024-01-01", "nan", "inf"],
    float: ["true", '"2.0"', "[2.0]", "nan", "+nan", "inf", "-inf", "12:00:00"],
    bool: ["0", "1", '"true"', "1.0", "[]"],
    str: ["0", "true", "1.5", "[]", "nan"],
}
FIELDS = [(table, item.name) for table, kind in TABLES.items() for item in dataclasses.fields(kind)]


@pytest.mark.parametrize(("table", "key"), FIELDS, ids=lambda x: x)
def test_a_value_of_the_wrong_type_is_refused_with_file_table_and_key(tmp_path: Path, table: str, key: str) -> None:
    hint = get_type_hints(TABLES[table])[key]
    if hint == int | Literal["auto"]:
        values = [*WRONG_TYPES[int], '"AUTO"', '""']
    else:
        values = WRONG_TYPES.get(hint, ["1", "true", '"no such choice"', '""', "[]", "nan"])
    for value in values:
        path = written(tmp_path, f"[{table}]\n{key} = {value}\n")
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: [{table}] {key} = "), message
        assert "expected " in message
        assert len(message.splitlines()) == 1


@pytest.mark.parametrize(("table", "key"), FIELDS, ids=lambda x: x)
def test_every_number_has_a_range_and_is_refused_just_outside_it(table: str, key: str) -> None:
    kind = TABLES[table]
    hint = get_type_hints(kind)[key]
    item = next(item for item in dataclasses.fields(kind) if item.name == key)
    if hint == int | Literal["auto"]:
        hint = int
    if hint not in (int, float):
        assert hint in (bool, str) or set(get_args(hint)) > {item.default}
        return
    low, high, exclusive_low = item.metadata["range"]
    below = low if exclusive_low else low - 1 if hint is int else math.nextafter(low, -math.inf)
    above = high + 1 if hint is int else math.nextafter(high, math.inf)
    for value in (below, above):
        assert type(value) is hint
        with pytest.raises(ConfigError, match=rf"\[{table}\] {key} = .*: expected "):
            kind(**{key: value})


@pytest.mark.parametrize(("table", "key"), FIELDS, ids=lambda x: x)
def test_a_whole_number_is_a_number(table: str, key: str) -> None:
    kind = TABLES[table]
    if get_type_hints(kind)[key] is not float:
        return
    low, high, exclusive_low = next(i for i in dataclasses.fields(kind) if i.name == key).metadata["range"]
    whole = math.floor(low) + 1 if exclusive_low else math.ceil(low)
    if key == "mel_high_hz":
        whole = 4000
    if key == "frame_length_ms":
        whole = 20
    if whole > high:
        return  # between 0 and 1 there is none
    assert low <= whole
    value = getattr(kind(**{key: whole}), key)
    assert type(value) is float
    assert value == whole


@pytest.mark.parametrize(
    ("settings_", "key"),
    [
        ({"cepstra": 41}, "cepstra"),
        ({"cepstra": 20, "mel_bands": 19}, "cepstra"),
        ({"cepstra": 1, "c0": "drop"}, "cepstra"),
        ({"frame_shift_ms": 25.001}, "frame_shift_ms"),
        ({"frame_length_ms": 9.0}, "frame_shift_ms"),
        ({"mel_high_hz": 8000.1}, "mel_high_hz"),
        ({"mel_high_hz": 5000.0, "sample_rate": 8000}, "mel_high_hz"),
        ({"mel_low_hz": 4000.0, "mel_high_hz": 4000.0}, "mel_low_hz"),
        ({"mel_low_hz": 8000.0}, "mel_low_hz"),
        ({"fft_size": 399}, "fft_size"),
        ({"fft_size": 512, "sample_rate": 48000}, "fft_size"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, settings_: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\[front_end\] {key} = "):
        FrontEndConfig(**settings_)
    lines = [f"{name} = {value!r}" for name, value in settings_.items()]
    path = written(tmp_path, "\n".join(["[front_end]", *lines]))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: [front_end] {key} = ")


def test_settings_on_the_edge_of_a_contradiction_are_taken() -> None:
    FrontEndConfig(cepstra=40, mel_bands=40)
    FrontEndConfig(cepstra=1)
    FrontEndConfig(cepstra=2, c0="drop")
    FrontEndConfig(frame_shift_ms=25.0)
    FrontEndConfig(mel_high_hz=8000.0)
    FrontEndConfig(fft_size=400)


def test_lengths_in_samples_follow_the_rate() -> None:
    front_end = FrontEndConfig()
    assert (front_end.frame_length, front_end.frame_shift, front_end.transform_size) == (400, 160, 512)
    front_end = FrontEndConfig(sample_rate=22050, frame_length_ms=20.0)
    assert (front_end.frame_length, front_end.frame_shift, front_end.transform_size) == (441, 220, 512)
    assert FrontEndConfig(sample_rate=8000, frame_length_ms=32.0).transform_size == 256  # a power of two stays
    assert FrontEndConfig(fft_size=401).transform_size == 401


@pytest.mark.parametrize(("c0", "n_static"), [("keep", 20), ("level_removed", 20), ("mean_removed", 20), ("drop", 19)])
@pytest.mark.parametrize("deltas", [0, 1, 2])
def test_the_number_of_features(c0: Any, n_static: int, deltas: int) -> None:
    front_end = FrontEndConfig(c0=c0, deltas=deltas)
    assert front_end.n_static == n_static
    assert front_end.n_features == n_static * (1 + deltas)


# Files that are none


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}: cannot read the config file: No such file or directory"
    assert isinstance(caught.value, UsageError)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the config file: Is a directory"):
        load_config(tmp_path)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("# Einführung\n".encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f"{path}: cannot read the config file: it is not UTF-8 text"


@pytest.mark.parametrize("text", ["cepstra: 20", "[front_end", "[front_end]\ncepstra = 1\ncepstra = 2\n", "{}", "\0"])
def test_a_file_that_is_not_toml(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: not a TOML file: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_whole_number_beyond_floats_is_refused() -> None:
    with pytest.raises(ConfigError, match="mel_low_hz"):
        FrontEndConfig(mel_low_hz=10**400)


def test_a_whole_number_of_400_digits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[front_end\] cepstra = 9"):
        load_config(written(tmp_path, f"[front_end]\ncepstra = {'9' * 400}\n"))


def test_a_whole_number_of_5000_digits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_config(written(tmp_path, f"[front_end]\ncepstra = {'9' * 5000}\n"))


def test_brackets_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_config(written(tmp_path, "a = " + "[" * 100000))


@pytest.mark.parametrize(
    "text",
    [
        "?",
        "two\nlines",
        'a "quoted" word',
        "back\\slash",
        "é 語 🎤",
        *(pytest.param(f"?{char}", id=repr(char)) for char in "\r\x0b\x1b\x7f\x85\u2028"),
    ],
)
def test_a_message_is_one_printable_line_whatever_the_text_in_the_file(text: str) -> None:
    for values in ({text: {}}, {"front_end": {text: 1}}, {"front_end": {"window": text}}, {"training": {"seed": text}}):
        with pytest.raises(ConfigError) as caught:
            from_dict(Config, values, where="my.toml")
        assert str(caught.value).isprintable()


def test_components_are_a_whole_number_or_a_word(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, '[training]\ncomponents = "auto"\n')).training.components == "auto"
    path = written(tmp_path, '[training]\ncomponents = "many"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value) == f'{path}: [training] components = "many": expected a whole number or "auto"'


# Differences


def test_equal_settings_have_no_differences() -> None:
    assert differences(FrontEndConfig(), FrontEndConfig()) == []


def test_differences_name_settings_and_both_values() -> None:
    one, other = FrontEndConfig(window="hann"), FrontEndConfig(cepstra=13, window="povey", centred=True)
    assert differences(one, other) == [
        'window: "hann" against "povey"',
        "centred: false against true",
        "cepstra: 20 against 13",
    ]


@given(trainings(), trainings())
@settings(max_examples=50, deadline=None)
def test_differences_name_exactly_the_fields_that_differ(one: TrainingConfig, other: TrainingConfig) -> None:
    named = {line.split(":")[0] for line in differences(one, other)}
    fields = [item.name for item in dataclasses.fields(TrainingConfig)]
    assert named == {name for name in fields if getattr(one, name) != getattr(other, name)}


def test_a_world_model_is_named_from_where_the_config_file_is(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, '[world]\nfile = "w.gmm"\n')).world.file == str(tmp_path / "w.gmm")
    assert load_config(written(tmp_path, '[world]\nfile = "/models/w.gmm"\n')).world.file == "/models/w.gmm"
    assert load_config(written(tmp_path, '[world]\nfile = ""\n')).world.file == ""


@pytest.mark.parametrize(("key", "value"), [("covariance", "full"), ("components", 4), ("seed", 1)])
def test_what_counts_for_em_alone_is_not_passed_over(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[training\] {key} = .*: expected it left out"):
        TrainingConfig(method="map", **{key: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expected it left out"):
        dataclasses.replace(TrainingConfig(), **{key: value})  # type: ignore[arg-type]


def test_speakers_are_adapted_unless_a_setting_of_em_is_named(tmp_path: Path) -> None:
    assert TrainingConfig().method == "map"
    assert TrainingConfig(relevance_factor=8, variance_floor=0.2).method == "map"
    assert TrainingConfig(components=4).method == "ml"
    for text, method in (
        ("", "map"),
        ("relevance_factor = 8", "map"),
        ("components = 16", "ml"),  # the default, but it is asked for
        ("seed = 0", "ml"),
        ('seed = 0\nmethod = "map"', "map"),
        ('method = "ml"', "ml"),
    ):
        assert load_config(written(tmp_path, f"[training]\n{text}\n")).training.method == method, text
