"""The store: one SQLite file, transactions, versions."""

from speakerid.store.names import normal_name
from speakerid.store.rows import NewRecording, RecordingRow, SpeakerRow, SpeakerUpdate
from speakerid.store.store import Store
from speakerid.store.transfer import export_speakers

__all__ = [
    "NewRecording",
    "RecordingRow",
    "SpeakerRow",
    "SpeakerUpdate",
    "Store",
    "export_speakers",
    "normal_name",
]
