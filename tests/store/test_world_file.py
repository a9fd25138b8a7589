"""The world model's file: what is written comes back, and what is damaged is one line."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakerid.config import FrontEndConfig, to_dict
from speakerid.errors import WorldError
from speakerid.mixtures import GaussianMixture
from speakerid.store import World, WorldPart, read_world, write_world
from speakerid.store.world_file import check_writable, is_world_file

FRONT_END = FrontEndConfig(cepstra=2, deltas=0)
ABOUT = {"recordings": 3, "speech_seconds": 4.5, "list_sha256": "ab" * 32, "licence": "Zoë's, CC BY 4.0"}
BEGIN = 12  # the magic word and the header's length


def make(k: int = 3, seed: int = 1, about: dict[str, Any] | None = None) -> World:
    generator = np.random.default_rng(seed)
    mixture = GaussianMixture(
        generator.dirichlet(np.ones(k)), generator.normal(0, 5, (k, 2)), generator.uniform(0.5, 3, (k, 2))
    )
    return World(mixture, FRONT_END, ABOUT if about is None else about)


WHOLE = make().to_bytes()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and arrays, taken apart by the description of the format."""
    assert data[:8] == b"SPKWORLD"
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    (length,) = struct.unpack("<I", data[8:BEGIN])
    return json.loads(data[BEGIN : BEGIN + length].decode("ascii")), data[BEGIN + length : -32]


def put_together(header: Any, arrays: bytes, *, length: int | None = None) -> bytes:
    """A file with a right checksum, whatever is in it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = b"SPKWORLD" + struct.pack("<I", len(text) if length is None else length) + text + arrays
    return body + hashlib.sha256(body).digest()


def refused(data: bytes) -> str:
    with pytest.raises(WorldError) as caught:
        World.from_bytes(data, where="here.gmm")
    message = str(caught.value)
    assert message.startswith("here.gmm: ")
    assert "\n" not in message
    return message.removeprefix("here.gmm: ")


# round trips


def test_parts_are_kept_and_count() -> None:
    joined = dataclasses.replace(make(), parts=(WorldPart(1), WorldPart(2, rooms=True)))
    header, arrays = parts(joined.to_bytes())
    assert header["parts"] == [{"components": 1, "rooms": False}, {"components": 2, "rooms": True}]
    assert (arrays, {name: header[name] for name in HEADER}) == (ARRAYS, HEADER | {"format": 2})
    again = World.from_bytes(joined.to_bytes(), where="x")
    assert again.parts == joined.parts
    assert again.digest == joined.digest
    assert (
        len({each.digest for each in (joined, make(), dataclasses.replace(joined, parts=(WorldPart(1), WorldPart(2))))})
        == 3
    )


@pytest.mark.parametrize("k", [1, 2, 64])
def test_the_file_is_as_described(k: int) -> None:
    world = make(k)
    header, arrays = parts(world.to_bytes())
    assert header == {
        "format": 1, "front_end": to_dict(FRONT_END), "components": k, "features": 2, "about": ABOUT,
    }  # fmt: skip
    mixture = world.mixture
    expected = np.concatenate([a.ravel() for a in (mixture.weights, mixture.means, mixture.covariances)])
    np.testing.assert_array_equal(np.frombuffer(arrays, "<f4"), expected.astype(np.float32))


@given(st.integers(1, 70), st.integers(0, 100_000))
def test_what_is_read_is_written_bit_for_bit(k: int, seed: int) -> None:
    first = make(k, seed)
    data = first.to_bytes()
    second = World.from_bytes(data, where="x")
    assert second.to_bytes() == data
    assert second.digest == first.digest
    assert (second.about, second.front_end) == (ABOUT, FRONT_END)
    np.testing.assert_array_equal(second.mixture.means, first.mixture.means.astype(np.float32))
    np.testing.assert_array_equal(second.mixture.covariances, first.mixture.covariances.astype(np.float32))
    np.testing.assert_allclose(second.mixture.weights, first.mixture.weights, rtol=1e-6)
    assert World.from_bytes(second.to_bytes(), where="x").mixture == second.mixture


def test_weights_that_rounding_would_move_are_kept() -> None:
    """Scaled to sum to 1 and rounded again these would be other numbers, and the store's copy another world model."""
    moved = 0
    for seed in range(1000):
        data = make(3 + seed % 3, seed).to_bytes()
        mixture = World.from_bytes(data, where="x").mixture
        moved += World(mixture, FRONT_END, ABOUT).to_bytes() != data
        assert World.from_bytes(data, where="x").to_bytes() == data
    assert moved > 0


def test_another_mixture_in_a_read_world_is_written() -> None:
    other = dataclasses.replace(World.from_bytes(WHOLE, where="x"), mixture=make(seed=2).mixture)
    assert other.to_bytes() == make(seed=2).to_bytes()


def test_the_digest_is_of_front_end_and_mixture() -> None:
    world = make()
    assert re.fullmatch("[0-9a-f]{64}", world.digest)
    assert make(about={}).digest == world.digest
    assert make(seed=2).digest != world.digest
    other_front_end = FrontEndConfig(cepstra=2, deltas=0, mel_bands=30)
    assert World(world.mixture, other_front_end, ABOUT).digest != world.digest
    nudged = np.array(world.mixture.means)
    nudged[2, 1] = np.nextafter(np.float32(nudged[2, 1]), np.float32(99))
    mixture = GaussianMixture(world.mixture.weights, nudged, world.mixture.covariances)
    assert World(mixture, FRONT_END, ABOUT).digest != world.digest
    # less than float32 holds is nothing
    means = world.mixture.means * (1 + 1e-12)
    assert World(GaussianMixture(world.mixture.weights, means, world.mixture.covariances), FRONT_END).digest == (
        world.digest
    )


@pytest.mark.parametrize("licence", ["", "a\nb", "\udcff", "\x00", "日本", '"'])
def test_any_text_can_be_a_licence(licence: str, tmp_path: Path) -> None:
    write_world(tmp_path / "w.gmm", make(about={"licence": licence}))
    assert read_world(tmp_path / "w.gmm").about == {"licence": licence}


# damage


@pytest.mark.parametrize("size", [0, 1, 7, 8, 11, 12, 13, 43, 44, 45, len(WHOLE) - 33, len(WHOLE) - 32, len(WHOLE) - 1])
def test_a_file_that_ends_too_early(size: int) -> None:
    assert re.match("no world model|the world model is damaged", refused(WHOLE[:size]))


def test_a_file_that_ends_early_anywhere_or_goes_on() -> None:
    for size in range(len(WHOLE)):
        refused(WHOLE[:size])
    assert "damaged; copy it again or train it anew" in refused(WHOLE + b"\0")


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_flipped_bits_anywhere(position: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= flip
    refused(bytes(data))


@given(st.binary(max_size=200))
def test_any_other_bytes(data: bytes) -> None:
    assert refused(data) == "no world model; make one with speakerid world train"
    refused(b"SPKWORLD" + data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_header_that_is_something_else(value: Any) -> None:
    refused(put_together(value, parts(WHOLE)[1]))


@given(st.sampled_from(["format", "front_end", "components", "features", "about"]), JSON)
def test_one_thing_in_the_header_that_is_something_else(key: str, value: Any) -> None:
    header, arrays = parts(WHOLE)
    data = put_together(header | {key: value}, arrays)
    if key == "about" and isinstance(value, dict):
        with contextlib.suppress(WorldError):
            world = World.from_bytes(data, where="here.gmm")
            json.dumps(world.about, allow_nan=False)
            assert World.from_bytes(world.to_bytes(), where="x").about == world.about == value
    elif value != header[key] or isinstance(value, bool):
        assert refused(data).startswith("the world model cannot be read: ")


@given(st.binary(max_size=60))
def test_bytes_in_the_place_of_the_header(text: bytes) -> None:
    refused(put_together(text, parts(WHOLE)[1]))


@pytest.mark.parametrize("key", ["format", "front_end", "components", "features", "about"])
def test_a_header_that_lacks_something(key: str) -> None:
    header, arrays = parts(WHOLE)
    del header[key]
    assert refused(put_together(header, arrays)) == f"the world model cannot be read: its header lacks '{key}'"


HEADER, ARRAYS = parts(WHOLE)


def in_parts(value: Any) -> bytes:
    return put_together(HEADER | {"format": 2, "parts": value}, ARRAYS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (put_together(HEADER | {"format": 3}, ARRAYS), "format 3 is of a newer speakerid; update this one"),
        (put_together(HEADER | {"components": 4}, ARRAYS), "60 bytes of arrays for 4 components of 2 features"),
        (put_together(HEADER | {"components": True}, ARRAYS), "a header of other types"),
        (put_together(HEADER | {"components": 3.0}, ARRAYS), "a header of other types"),
        (put_together(HEADER | {"components": -3}, ARRAYS), "a header of other types"),
        (put_together(HEADER | {"components": 10**30}, ARRAYS), "a header of other types"),
        (put_together(HEADER | {"features": 3}, ARRAYS), "60 bytes of arrays for 3 components of 3 features"),
        (put_together(HEADER | {"about": {"frames": [1]}}, ARRAYS), "a header of other types"),
        (put_together(HEADER | {"about": {"frames": float("nan")}}, ARRAYS), "a header of other types"),
        (put_together(HEADER | {"front_end": {"cepstra": 2, "x": 1}}, ARRAYS), "unknown setting 'x'"),
        (put_together(HEADER | {"front_end": {"cepstra": 0}}, ARRAYS), "cepstra = 0"),
        (put_together(HEADER | {"parts": [{"components": 3, "rooms": False}]}, ARRAYS), "format 1 is"),
        (put_together(HEADER | {"format": 2}, ARRAYS), "format 2 is"),
        (in_parts([{"components": 2, "rooms": True}]), "parts of [2] components, of 3"),
        (in_parts([{"components": 3, "rooms": 1}]), "a header of other types"),
        (in_parts([{"components": -1, "rooms": True}] * 2), "a header of other types"),
        (in_parts({"components": 3}), "a header of other types"),
        (in_parts([3]), "a header of other types"),
        (put_together(HEADER, ARRAYS, length=0xFFFFFFFF), "a header longer than the file"),
        (put_together(HEADER, ARRAYS, length=len(WHOLE)), "cannot be read"),
        (put_together(HEADER, ARRAYS, length=0), "cannot be read"),
        (put_together(b"[" * 100_000, ARRAYS), "cannot be read"),
        (put_together(b'{"format":' * 5000 + b"1" + b"}" * 5000, ARRAYS), "cannot be read"),
        (put_together(b"9" * 10_000, ARRAYS), "cannot be read"),
        (put_together(HEADER, ARRAYS[:-4]), "56 bytes of arrays for 3 components of 2 features"),
        (put_together(HEADER, b""), "0 bytes of arrays"),
    ],
)  # fmt: skip
def test_damage_with_a_right_checksum(data: bytes, says: str) -> None:
    message = refused(data)
    assert says in message
    assert len(message) < 600


@pytest.mark.parametrize("position", [0, 2, 3, 8, 9, 14])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1.0, 0.0])
def test_arrays_that_are_no_mixture(position: int, value: float) -> None:
    array = np.frombuffer(ARRAYS, "<f4").copy()
    if value in (-1.0, 0.0) and 3 <= position < 9:
        value = np.nan  # a mean may be that
    array[position] = value
    assert refused(put_together(HEADER, array.tobytes())).startswith("the world model cannot be read: ")


# files


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.gmm").write_text("a letter", encoding="utf-8")
    for name, says in (
        ("missing.gmm", "the world model cannot be read (no such file or directory)"),
        ("", "the world model cannot be read (is a directory)"),
        ("text.gmm", "no world model; make one with speakerid world train"),
        ("text.gmm/below", "the world model cannot be read (not a directory)"),
        ("a\0b", "the world model cannot be read (embedded null byte)"),
    ):
        path = os.path.join(tmp_path, name) if name else str(tmp_path)  # noqa: PTH118 - a NUL is no path
        with pytest.raises(WorldError) as caught:
            read_world(path)
        assert str(caught.value) == f"{path}: {says}"


def test_a_file_without_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("speakerid.store.world_file._LARGEST_FILE", 100)
    (tmp_path / "w.gmm").write_bytes(WHOLE)
    with pytest.raises(WorldError, match="no world model: larger than"):
        read_world(tmp_path / "w.gmm")


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.gmm"
    write_world(path, make())
    assert path.read_bytes() == WHOLE
    assert list(tmp_path.iterdir()) == [path]

    def half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="No space left") as caught:
            write_world(path, make(seed=2))
        assert caught.value.filename == str(path)
    assert path.read_bytes() == WHOLE
    assert list(tmp_path.iterdir()) == [path]
    write_world(path, make(seed=2))
    assert path.read_bytes() == make(seed=2).to_bytes()


def test_a_name_as_long_as_a_name_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("w" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    write_world(path, make())
    assert read_world(path).digest == make().digest
    assert list(tmp_path.iterdir()) == [path]
    check_writable(path)
    assert path.read_bytes() == WHOLE


def test_what_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    for path in (tmp_path / ("w" * 300), tmp_path / "missing" / "w.gmm"):
        with pytest.raises(OSError, match=r"too long|No such file") as caught:
            check_writable(path)
        assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_world_model_by_its_first_bytes(tmp_path: Path) -> None:
    for data, expected in ((WHOLE, True), (WHOLE[:50], True), (WHOLE[1:], False), (b"", False), (b"SPKWORL", False)):
        (tmp_path / "w.gmm").write_bytes(data)
        assert is_world_file(tmp_path / "w.gmm") == expected


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(WorldError) as caught:
            read_world(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: no world model: not a regular file"
    write_world(tmp_path / "w.gmm", make())
    (tmp_path / "another").symlink_to("w.gmm")
    assert read_world(tmp_path / "another").digest == make().digest


def test_nothing_is_run(python: Callable[..., Any], tmp_path: Path) -> None:
    """A pickle in the place of a world model is refused unread, and pickle is not used at all."""
    (tmp_path / "evil.gmm").write_bytes(b"cos\nsystem\n(S'echo run'\ntR.")
    (tmp_path / "w.gmm").write_bytes(WHOLE)
    code = (
        "import sys, pickle\n"
        "def never(*_, **__): raise SystemExit('unpickled')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = never\n"
        "from speakerid.store import read_world\n"
        "from speakerid.errors import WorldError\n"
        "print(read_world(sys.argv[1]).mixture.n_components)\n"
        "try: read_world(sys.argv[2])\n"
        "except WorldError as e: print(e)\n"
    )
    outcome = python(code, tmp_path / "w.gmm", tmp_path / "evil.gmm")
    assert outcome.err == ""
    assert outcome.out.splitlines() == [
        "3",
        f"{tmp_path / 'evil.gmm'}: no world model; make one with speakerid world train",
    ]
