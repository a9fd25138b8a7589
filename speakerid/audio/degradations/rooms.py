"""Impulse responses of rooms. The direct path is sample 0, so what is said stays where it was.

*Decay* (``reverb``): 12 early reflections between 2 and 50 ms, and noise after them, both falling as 10^(-3 t / T60), so by
60 dB in T60 seconds; the energy of the direct path is 0 to 8 dB above that of all the rest, as drawn.

*Image sources* (``room``): a box of 3-8 by 3-6 by 2.4-3.5 m with a speaker and a microphone 0.5 to 2.5 m apart, drawn (Allen
and Berkley 1979, "Image method for efficiently simulating small-room acoustics"). All walls absorb alike, as much as gives
the T60 by Eyring's formula. As sound between far walls lives longest, such a box rings longer; so the air absorbs as much on
the way as brings the decay from -5 to -35 dB to the T60. Reflections change their sign, after Lehmann and Johansson 2008, so
that nothing piles up at low frequencies, and come at whole samples. Only images are summed, without directions or furniture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["decay_response", "room_response"]

Doubles = NDArray[np.float64]

DRAWN_T60 = (0.3, 0.8)
_DIRECT_TO_REST_DB = (0.0, 8.0)
_EARLY, _EARLY_SECONDS = 12, (0.002, 0.050)
# so far below its beginning a response ends, in dB
_END_DB = 70.0
_SOUND_METRES_A_SECOND = 343.0
_FROM_WALLS = 0.3


def decay_response(t60: float | None, sample_rate: int, rng: np.random.Generator) -> Doubles:
    """Draw a response (n,) of decaying noise; `t60` in seconds, drawn as well if None."""
    t60 = rng.uniform(*DRAWN_T60) if t60 is None else t60
    seconds = np.arange(max(2, math.ceil(_END_DB / 60 * t60 * sample_rate))) / sample_rate
    late = rng.standard_normal(len(seconds))
    late[seconds < _EARLY_SECONDS[0]] = 0
    # early on, a few reflections stand out of what is else still thin
    late *= np.minimum(1, seconds / _EARLY_SECONDS[1])
    places = np.rint(rng.uniform(*_EARLY_SECONDS, _EARLY) * sample_rate).astype(np.intp)
    signs = rng.choice((-2.0, 2.0), _EARLY)
    inside = places < len(late)
    np.add.at(late, places[inside], signs[inside])
    rest = late * 10 ** (-3 * seconds / t60)
    direct_to_rest = 10 ** (rng.uniform(*_DIRECT_TO_REST_DB) / 10)
    rest /= math.sqrt(float(np.sum(np.square(rest))) * direct_to_rest) or 1.0
    rest[0] = 1.0
    return rest


def room_response(t60: float | None, sample_rate: int, rng: np.random.Generator) -> Doubles:
    """Draw a box and compute its response (n,); `t60` in seconds, drawn as well if None."""
    t60 = rng.uniform(*DRAWN_T60) if t60 is None else t60
    size = rng.uniform((3.0, 3.0, 2.4), (8.0, 6.0, 3.5))
    ears, mouth = _places(size, rng)
    width, depth, height = size
    surface = 2 * (width * depth + width * height + depth * height)
    # Eyring: T60 = 24 ln 10 V / (-c S ln(1 - absorption)); what is reflected in pressure is the root of 1 - absorption
    reflected = math.exp(-12 * math.log(10) * math.prod(size) / (_SOUND_METRES_A_SECOND * surface * t60))
    direct = math.dist(ears, mouth)
    farthest = direct + _SOUND_METRES_A_SECOND * t60
    (x, x_walls), (y, y_walls), (z, z_walls) = (
        _images(mouth[axis], ears[axis], size[axis], farthest) for axis in range(3)
    )
    # (n_y, 1) + (n_z,) -> (n_y * n_z,), squared distances in a plane and reflections to get there
    plane, plane_walls = (y[:, None] + z).ravel(), (y_walls[:, None] + z_walls).ravel()
    response = np.zeros(math.ceil(t60 * sample_rate) + 1)
    for square, walls in zip(x, x_walls, strict=True):
        near = plane <= farthest**2 - square
        metres = np.sqrt(square + plane[near])
        delays = np.rint((metres - direct) / _SOUND_METRES_A_SECOND * sample_rate).astype(np.intp)
        strengths = (-reflected) ** (walls + plane_walls[near]) * direct / metres
        heard = delays < len(response)
        response += np.bincount(delays[heard], strengths[heard], minlength=len(response))
    seconds = np.arange(len(response)) / sample_rate
    response *= 10 ** (-3 * seconds * (1 / t60 - 1 / _measured_t60(response, sample_rate)))
    return response


def _measured_t60(response: Doubles, sample_rate: int) -> float:
    """T60 of a response by Schroeder's backward integration, without the direct path."""
    energy = np.cumsum(np.square(response[:0:-1]))[::-1]
    decibels = 10 * np.log10(energy[energy > 0] / energy[0])
    fitted = (decibels <= -5) & (decibels >= -35)
    slope = np.polyfit(np.flatnonzero(fitted) / sample_rate, decibels[fitted], 1)[0]
    return float(-60 / slope)


def _places(size: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Draw where the microphone and the mouth are: (3,) each, in metres."""
    while True:
        ears, mouth = (rng.uniform(_FROM_WALLS, size - _FROM_WALLS) for _ in range(2))
        if 0.5 <= math.dist(ears, mouth) <= 2.5:
            return ears, mouth


def _images(mouth: float, ears: float, length: float, farthest: float) -> tuple[Doubles, NDArray[np.intp]]:
    """Squared distances along one axis, and how many walls each image was reflected by: (n_images,) each."""
    rooms = np.arange(-math.ceil(farthest / (2 * length)) - 1, math.ceil(farthest / (2 * length)) + 2)
    same, mirrored = 2 * rooms * length + mouth - ears, 2 * rooms * length - mouth - ears
    squares = np.square(np.concatenate((same, mirrored)))
    walls = np.concatenate((np.abs(2 * rooms), np.abs(2 * rooms - 1)))
    near = squares <= farthest**2
    return squares[near], walls[near]
