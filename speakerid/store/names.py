"""What text can be a speaker's name.

Any Unicode text of 1 to 200 characters without control characters, line or paragraph separators, lone surrogates and path
separators, not blank. Names are kept in Unicode's normal form C, so that "José" typed on one system is "José" on another.
"""

from __future__ import annotations

import unicodedata

from speakerid.errors import SpeakerNameError

__all__ = ["normal_name"]

_REFUSED = {"Cc": "a control character", "Cs": "bytes that are not UTF-8", "Zl": "a line break", "Zp": "a line break"}
_LONGEST = 200


def normal_name(text: str) -> str:
    """Check a speaker's name and return its normal form.

    Raises
    ------
    SpeakerNameError
        The text cannot be a name; the message says why.
    """
    shown = text.encode("utf-8", "backslashreplace").decode("utf-8")
    for character in text:
        category = unicodedata.category(character)
        if category in _REFUSED:
            raise SpeakerNameError(f"{shown!r} cannot be a speaker's name: it has {_REFUSED[category]}")
        if character in "/\\":
            raise SpeakerNameError(f"{shown!r} cannot be a speaker's name: it has the path separator {character}")
    name = unicodedata.normalize("NFC", text).strip()
    if not any(unicodedata.category(character)[0] not in "CZ" for character in name):
        raise SpeakerNameError("a speaker's name cannot be blank")
    if len(name) > _LONGEST:
        raise SpeakerNameError(f"{name[:30]!r}… cannot be a speaker's name: {len(name)} characters, {_LONGEST} at most")
    return name
