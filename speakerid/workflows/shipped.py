"""What comes with the program: world models and the calibration, made by ``make models`` from public recordings."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from speakerid.config import FrontEndConfig
from speakerid.scoring import Calibration
from speakerid.store import World

__all__ = ["SHIPPED_WORLDS", "shipped_calibration", "shipped_world"]

_FOLDER = "models"
#: Files of the world models that come with the program.
SHIPPED_WORLDS = ("wide.gmm", "telephone.gmm")


@cache
def _world(name: str) -> World:
    data = resources.files("speakerid").joinpath(_FOLDER, name).read_bytes()
    return World.from_bytes(data, where=f"the world model {name} that comes with the program")


def shipped_world(front_end: FrontEndConfig) -> World | None:
    """Return the world model that comes with the program for these features, if there is one."""
    for name in SHIPPED_WORLDS:
        world = _world(name)
        if world.front_end == front_end:
            return world
    return None


@cache
def shipped_calibration() -> Calibration:
    """Return the calibration that comes with the program, for adapted speakers."""
    text = resources.files("speakerid").joinpath(_FOLDER, "calibration.json").read_text(encoding="utf-8")
    return Calibration.from_dict(json.loads(text))
