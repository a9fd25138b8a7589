"""An entry of the feature cache as bytes: magic, length of a JSON object, that object, cepstra, mask of speech, digest."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np
from numpy.typing import NDArray

from speakerid.frontend import StaticFeatures
from speakerid.workflows.analysis import Analysis

__all__ = ["DIGEST_BYTES", "DamageError", "checksum", "pack", "unpack"]

_ENTRY_MAGIC = b"speakerid-feat1\n"
_HEADER = struct.Struct("<16sQ")
DIGEST_BYTES = 32
_ALIGNMENT = 64


class DamageError(Exception):
    """A file of the cache is not what was written."""


def checksum(*parts: bytes | memoryview) -> bytes:
    """BLAKE2b of the parts, one after the other."""
    total = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        total.update(part)
    return total.digest()


def pack(key: str, analysis: Analysis) -> tuple[bytes | memoryview, ...]:
    """Give the bytes of an entry; `unpack` is the inverse."""
    static = analysis.static
    meta = json.dumps(
        {
            "key": key,
            "shape": static.cepstra.shape,
            "seconds": analysis.seconds,
            "speech_seconds": analysis.speech_seconds,
            "content_hash": analysis.content_hash,
            "source_rate": analysis.source_rate,
            "clipped_fraction": analysis.clipped_fraction,
        }
    ).encode()
    # numpy's arrays begin at addresses that suit the processor
    meta += b" " * (-(_HEADER.size + len(meta)) % _ALIGNMENT)
    cepstra = np.ascontiguousarray(static.cepstra, dtype="<f4")
    speech = np.packbits(static.speech).tobytes()
    parts = (_HEADER.pack(_ENTRY_MAGIC, len(meta)), meta, cepstra.reshape(-1).view(np.uint8).data, speech)
    return (*parts, checksum(*parts))


def unpack(data: NDArray[np.uint8], key: str) -> Analysis:
    """Believe an entry, or raise `DamageError`; the arrays are views of `data`, shape (n_bytes,)."""
    if len(data) < _HEADER.size + DIGEST_BYTES:
        raise DamageError
    magic, meta_length = _HEADER.unpack_from(data.data)
    body = data[:-DIGEST_BYTES]
    if magic != _ENTRY_MAGIC or checksum(body.data) != data[-DIGEST_BYTES:].tobytes():
        raise DamageError
    try:
        meta = json.loads(body[_HEADER.size : _HEADER.size + meta_length].tobytes())
        n_frames, n_static = meta["shape"]
        payload = body[_HEADER.size + meta_length :]
        n_cepstra = 4 * n_frames * n_static
        if meta["key"] != key or len(payload) != n_cepstra + (n_frames + 7) // 8:
            raise DamageError
        cepstra = payload[:n_cepstra].view("<f4").reshape(n_frames, n_static).astype(np.float32, copy=False)
        speech = np.unpackbits(payload[n_cepstra:], count=n_frames).view(np.bool_)
        return Analysis(
            static=StaticFeatures(cepstra, speech),
            seconds=float(meta["seconds"]),
            speech_seconds=float(meta["speech_seconds"]),
            content_hash=str(meta["content_hash"]),
            source_rate=int(meta["source_rate"]),
            clipped_fraction=float(meta["clipped_fraction"]),
        )
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # the digest is right, but no program of ours wrote that
        raise DamageError from error
