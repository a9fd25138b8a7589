"""What can go wrong, by name.

::

    SpeakerIdError                       the root: `except SpeakerIdError` catches all that is ours
    ├── UsageError                       the request itself is wrong (exit status 2)
    │   ├── ConfigError                  a setting is unknown, of the wrong type or out of range
    │   ├── ManifestError                a manifest or protocol file is malformed (names file and row)
    │   ├── SpeakerNameError             text that cannot be a speaker's name
    │   └── UnknownSpeakerError          no speaker of that name in the store
    ├── StoreError                       the store cannot be used (exit status 2)
    │   ├── StoreNotFoundError           there is no file at that path
    │   ├── NotAStoreError               the file is not a speakerid store, or a damaged one
    │   ├── StoreMismatchError           the store was made with other settings
    │   ├── StoreBusyError               another process holds the store
    │   └── ConflictError                another process changed the same speakers meanwhile
    ├── RecordingError                   one recording cannot be used (exit status 3); carries a `reason`
    │   ├── DuplicateRecordingError      the same audio is enrolled under another speaker
    │   └── MissingExtraError            reading it needs an optional dependency that is not installed
    ├── TrainingError                    a mixture cannot be trained on these frames
    └── WorldError                       a world model is missing, damaged, or of other features (exit status 2)

Every message is one line that says what, where, and what to do.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "ConflictError",
    "DuplicateRecordingError",
    "ManifestError",
    "MissingExtraError",
    "NotAStoreError",
    "RecordingError",
    "SpeakerIdError",
    "SpeakerNameError",
    "StoreBusyError",
    "StoreError",
    "StoreMismatchError",
    "StoreNotFoundError",
    "TrainingError",
    "UnknownSpeakerError",
    "UsageError",
    "WorldError",
]


class SpeakerIdError(Exception):
    """Root of every error that speakerid raises on purpose."""


class UsageError(SpeakerIdError):
    """The request itself is wrong; nothing was done."""


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type or out of range."""


class ManifestError(UsageError):
    """A manifest or protocol file is malformed; the message names file and row."""


class SpeakerNameError(UsageError):
    """Text that cannot be a speaker's name."""


class UnknownSpeakerError(UsageError):
    """No speaker of that name in the store."""


class StoreError(SpeakerIdError):
    """The store cannot be used."""


class StoreNotFoundError(StoreError):
    """There is no store at that path."""


class NotAStoreError(StoreError):
    """The file is not a speakerid store, or a damaged one."""


class StoreMismatchError(StoreError):
    """The store was made with other settings than the ones asked for."""


class StoreBusyError(StoreError):
    """Another process holds the store longer than we wait."""


class ConflictError(StoreError):
    """Another process changed the same speaker or enrolled the same audio meanwhile: read again, train again."""


class RecordingError(SpeakerIdError):
    """One recording cannot be used; the others can.

    Parameters
    ----------
    message : str
        One line: what is wrong, and what to do.
    reason : str
        A word for programs, as in the JSON of ``identify``: ``unreadable``, ``empty``, ``truncated``, ``no_speech``,
        ``too_short``, ``duplicate``, ``untrainable``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DuplicateRecordingError(RecordingError):
    """The same audio is already enrolled under another speaker."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="duplicate")


class MissingExtraError(RecordingError):
    """An optional dependency is needed to read this recording, and is not installed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="unreadable")


class TrainingError(SpeakerIdError):
    """A mixture cannot be trained on these frames."""


class WorldError(SpeakerIdError):
    """A world model is missing, damaged, or of other features than are asked for."""
