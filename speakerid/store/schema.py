"""The file: one SQLite database, version 1.

==============  =====================================================================================================
settings        name, value: ``front_end`` and ``training`` as JSON, ``created``, ``version`` of the program; ``world``, its
                file in base64; ``calibration`` as JSON, if one was fitted to the store's speakers
speakers        one row a speaker: name, when it was created and last changed
recordings      one row a recording: content hash (unique in the store), where it was, its rate and seconds, when it was
                enrolled, and its static features: float16 cepstra (n_frames, n_static) and one bit of speech a frame
models          one row a speaker: float32 weights (K,), means (K, d), variances (K, d), and how training went (JSON); of
                other covariance types spherical variances (K,), Cholesky factors (K, d, d) if full, (d, d) if tied. Where
                only means were adapted, weights and variances are empty: they are the world model's
==============  =====================================================================================================

Arrays are little-endian, row after row; shapes are columns and are checked on reading. `application_id` and
`user_version` are in the file's header. A file whose schema is not exactly this one is refused: nobody's triggers run.
"""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "TABLES"]

APPLICATION_ID = 0x53504B49  # "SPKI"
SCHEMA_VERSION = 1

TABLES = {
    "settings": """CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT""",
    "speakers": """CREATE TABLE speakers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    changed TEXT NOT NULL
) STRICT""",
    "recordings": """CREATE TABLE recordings (
    id INTEGER PRIMARY KEY,
    speaker_id INTEGER NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
    content_hash TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    session TEXT,
    source_rate INTEGER NOT NULL,
    seconds REAL NOT NULL,
    speech_seconds REAL NOT NULL,
    enrolled TEXT NOT NULL,
    n_frames INTEGER NOT NULL,
    n_static INTEGER NOT NULL,
    cepstra BLOB NOT NULL,
    speech BLOB NOT NULL
) STRICT""",
    "recordings_by_speaker": "CREATE INDEX recordings_by_speaker ON recordings (speaker_id)",
    "models": """CREATE TABLE models (
    speaker_id INTEGER PRIMARY KEY REFERENCES speakers (id) ON DELETE CASCADE,
    n_components INTEGER NOT NULL,
    n_features INTEGER NOT NULL,
    weights BLOB NOT NULL,
    means BLOB NOT NULL,
    variances BLOB NOT NULL,
    record TEXT NOT NULL
) STRICT""",
}
