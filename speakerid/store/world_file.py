"""The world model's file: one mixture, the front end it belongs to, and where it comes from.

============  ========================================================================================================
8 bytes       ``SPKWORLD``
4 bytes       length of the header, little-endian
header        JSON in ASCII: ``format`` 1, ``front_end``, ``components``, ``features`` and what is known about the
              training (see :class:`World`); with ``parts``, if there are several, it is ``format`` 2
arrays        little-endian float32: weights (K,), means (K, d), variances (K, d)
32 bytes      SHA-256 of everything before
============  ========================================================================================================

Nothing in it is run, and every number is checked on reading.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import secrets
import stat
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speakerid.config import FrontEndConfig, from_stored, to_dict
from speakerid.errors import ConfigError, WorldError
from speakerid.mixtures import GaussianMixture
from speakerid.store.rows import mixture_from_blobs, mixture_to_blobs

__all__ = ["World", "WorldPart", "check_writable", "is_world_file", "read_world", "write_world"]

_MAGIC = b"SPKWORLD"
_DIGEST = 32
# an older program would overlook parts and learn other speakers
_FORMAT, _WITH_PARTS = 1, 2
_LARGEST_FILE = 1 << 28
_LARGEST_HEADER = 1 << 24


@dataclass(frozen=True)
class WorldPart:
    """Components of a world model that speakers adapt by themselves; the parts of a world follow each other.

    Attributes
    ----------
    components : int
    rooms : bool
        They were learned in rooms, and adapt to every recording also as it would sound in one.
    """

    components: int
    rooms: bool = False


@dataclass(frozen=True, eq=False)
class World:
    """A world model (universal background model) and what is known about it.

    Attributes
    ----------
    mixture : GaussianMixture
        Diagonal, as it was rounded to float32.
    front_end : FrontEndConfig
        Whose features it is of.
    about : dict
        ``recordings``, ``speech_seconds``, ``frames``: how much it was trained on; ``list_sha256``: hash of the training
        list; ``licence``: whose recordings they are; ``log_likelihood``: nats a frame; ``created``, ``version``.
    parts : tuple of WorldPart
        Where several mixtures were joined; else empty, and the world is one part without rooms.
    """

    mixture: GaussianMixture
    front_end: FrontEndConfig
    about: dict[str, Any] = field(default_factory=dict)
    parts: tuple[WorldPart, ...] = ()
    # as they were read: a mixture's weights are scaled to sum to 1, and rounding those again may give other ones
    _arrays: bytes | None = field(default=None, init=False, repr=False)

    @property
    def arrays(self) -> bytes:
        """Weights, means and variances as they are in the file."""
        return b"".join(mixture_to_blobs(self.mixture)[2:]) if self._arrays is None else self._arrays

    def to_bytes(self) -> bytes:
        """The file."""
        header = {
            "format": _WITH_PARTS if self.parts else _FORMAT,
            "front_end": to_dict(self.front_end),
            "components": self.mixture.n_components,
            "features": self.mixture.n_features,
            "about": self.about,
            **self._parts,
        }
        text = json.dumps(header, sort_keys=True).encode()
        body = b"".join([_MAGIC, struct.pack("<I", len(text)), text, self.arrays])
        return body + hashlib.sha256(body).digest()

    @property
    def digest(self) -> str:
        """SHA-256 of front end, parts and mixture, in hexadecimal: two files with the same one give the same scores."""
        front_end = json.dumps(to_dict(self.front_end) | self._parts, sort_keys=True).encode()
        return hashlib.sha256(front_end + self.arrays).hexdigest()

    @property
    def _parts(self) -> dict[str, Any]:
        return {"parts": [asdict(part) for part in self.parts]} if self.parts else {}

    @staticmethod
    def from_bytes(data: bytes, *, where: str) -> World:
        """Inverse of :meth:`to_bytes`; `where` is for messages.

        Raises
        ------
        WorldError
            It is no world model, or a damaged one.
        """
        if not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + 4 + _DIGEST:
            raise WorldError(f"{where}: no world model; make one with speakerid world train")
        if hashlib.sha256(data[:-_DIGEST]).digest() != data[-_DIGEST:]:
            raise WorldError(f"{where}: the world model is damaged; copy it again or train it anew")
        try:
            return _parsed(data)
        except KeyError as error:
            raise WorldError(f"{where}: the world model cannot be read: its header lacks {error}") from None
        except (ValueError, TypeError, RecursionError, ConfigError) as error:
            raise WorldError(f"{where}: the world model cannot be read: {error}") from None


def _parsed(data: bytes) -> World:
    (length,) = struct.unpack_from("<I", data, len(_MAGIC))
    begin = len(_MAGIC) + 4
    if length > min(_LARGEST_HEADER, len(data)):
        raise ValueError("a header longer than the file")
    header = json.loads(data[begin : begin + length].decode("utf-8"))
    if type(header["format"]) is not int or header["format"] != (_WITH_PARTS if header.get("parts") else _FORMAT):
        raise ValueError(f"format {header['format']!r} is of a newer speakerid; update this one")
    front_end = from_stored(FrontEndConfig, header["front_end"])
    k, d, about = header["components"], header["features"], header["about"]
    if type(k) is not int or type(d) is not int or not 0 < k < 1 << 20 or not _is_plain(about):
        raise ValueError("a header of other types")
    arrays = data[begin + length : -_DIGEST]
    if d != front_end.n_features or len(arrays) != 4 * k * (1 + 2 * d):
        raise ValueError(f"{len(arrays)} bytes of arrays for {k} components of {d} features")
    ends = (0, 4 * k, 4 * k * (1 + d), len(arrays))
    weights, means, variances = (arrays[first:last] for first, last in itertools.pairwise(ends))
    mixture = mixture_from_blobs(k, d, weights, means, variances, expected_features=d, covariance="diagonal")
    world = World(mixture, front_end, about, _parsed_parts(header.get("parts", []), k))
    object.__setattr__(world, "_arrays", arrays)
    return world


def _parsed_parts(found: object, components: int) -> tuple[WorldPart, ...]:
    if not isinstance(found, list) or any(
        not isinstance(part, dict)
        or set(part) != {"components", "rooms"}
        or type(part["components"]) is not int
        or type(part["rooms"]) is not bool
        or part["components"] < 1
        for part in found
    ):
        raise ValueError("a header of other types")
    parts = tuple(WorldPart(**part) for part in found)
    if parts and sum(part.components for part in parts) != components:
        raise ValueError(f"parts of {[part.components for part in parts]} components, of {components}")
    return parts


def _is_plain(about: object) -> bool:
    """Tell a dictionary of texts and finite numbers."""
    return isinstance(about, dict) and all(
        isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)) for value in about.values()
    )


def read_world(path: str | os.PathLike[str]) -> World:
    """Read a world model.

    Raises
    ------
    WorldError
        There is no such file, or it is no world model, or a damaged one.
    """
    name = os.fspath(path)
    try:
        kind = os.stat(name).st_mode  # noqa: PTH116 - the path may be any text
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a folder is told by opening it
            # a pipe would be waited for, perhaps for ever
            raise WorldError(f"{name}: no world model: not a regular file")
        with Path(name).open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WorldError(f"{name}: the world model cannot be read ({reason.lower()})") from None
    if len(data) > _LARGEST_FILE:
        raise WorldError(f"{name}: no world model: larger than {_LARGEST_FILE >> 20} MiB")
    return World.from_bytes(data, where=name)


def is_world_file(path: str | os.PathLike[str]) -> bool:
    """Tell by its first bytes whether a file is a world model, perhaps a damaged one.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def write_world(path: str | os.PathLike[str], world: World) -> None:
    """Write a world model beside its name and rename: the file is whole or not there.

    Raises
    ------
    WorldError
        It is too large to be read again.
    OSError
        It cannot be written; the error names `path`.
    """
    data = world.to_bytes()
    if len(data) > _LARGEST_FILE:
        raise WorldError(
            f"{path}: a world model of {len(data) >> 20} MiB, and more than {_LARGEST_FILE >> 20} cannot be read"
        )
    temporary = _temporary(path)
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Try what :func:`write_world` will do, and leave no trace: for who works long before writing.

    Raises
    ------
    OSError
        The name is too long, or the folder cannot be written; the error names `path`.
    """
    temporary = _temporary(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def _temporary(path: str | os.PathLike[str]) -> Path:
    # not longer with a longer name: it must fit where the name itself does
    return Path(path).with_name(f"speakerid-{secrets.token_hex(6)}.partial")
