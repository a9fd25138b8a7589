"""The store: one SQLite file, transactions, versions."""

from speakerid.store.names import normal_name
from speakerid.store.rows import NewRecording, RecordingRow, SpeakerRow, SpeakerUpdate
from speakerid.store.store import Store
from speakerid.store.transfer import export_speakers
from speakerid.store.world_file import World, WorldPart, read_world, write_world

__all__ = [
    "NewRecording",
    "RecordingRow",
    "SpeakerRow",
    "SpeakerUpdate",
    "Store",
    "World",
    "WorldPart",
    "export_speakers",
    "normal_name",
    "read_world",
    "write_world",
]
