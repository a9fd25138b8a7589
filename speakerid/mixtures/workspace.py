"""Room for large arrays that are needed for a moment, again and again."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Workspace"]


class Workspace(threading.local):
    """Arrays that a thread writes over again and again: fresh megabytes would cost as much as half the arithmetic.

    Parameters
    ----------
    dtype : numpy dtype
        Of all arrays.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._room: dict[str, NDArray[Any]] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return Workspace, (self._dtype,)

    def array(self, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """An array with anything in it; the one of that name before is overwritten."""
        size = math.prod(shape)
        room = self._room.get(name)
        if room is None or room.size < size:
            room = self._room[name] = np.empty(size, dtype=self._dtype)
        return room[:size].reshape(shape)
