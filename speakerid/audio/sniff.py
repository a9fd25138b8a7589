"""What a file is, by its first bytes.

Names of files are not trusted: the content decides who decodes it. That also keeps play lists and scripts, which FFmpeg
would follow to other files and addresses, from ever reaching it: only the kinds below are opened, each by its own
demultiplexer and no other.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD_BYTES", "Kind", "id3_length", "mpeg_frame_length", "sniff"]

HEAD_BYTES = 4096
"""How much of a file `sniff` wants to see."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of audio file.

    Parameters
    ----------
    name : str
        For messages and for the checks of completeness.
    soundfile : bool
        libsndfile reads it.
    demuxer : str, optional
        FFmpeg's name for the only demultiplexer that may read it; used when libsndfile does not know the file.
    """

    name: str
    soundfile: bool = False
    demuxer: str | None = None


_FIXED: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"fLaC", Kind("flac", True)),
    (0, b"caff", Kind("caf", True, "caf")),
    (0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", Kind("w64", True)),
    (0, b".snd", Kind("au", True)),
    (0, b"dns.", Kind("au", True)),
    (0, b"NIST_1A\n", Kind("nist sphere", True)),
    (0, b"Creative Voice File\x1a", Kind("voc", True)),
    (0, b"#!AMR", Kind("amr", demuxer="amr")),
    (0, b"\x1a\x45\xdf\xa3", Kind("webm", demuxer="matroska")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("wma", demuxer="asf")),
    (0, b"FLV\x01", Kind("flv", demuxer="flv")),
    (0, b"wvpk", Kind("wavpack", demuxer="wv")),
    (0, b"MAC ", Kind("ape", demuxer="ape")),
    (0, b"TTA1", Kind("tta", demuxer="tta")),
    (0, b"\x00\x00\x01\xba", Kind("mpeg", demuxer="mpeg")),
    (4, b"ftyp", Kind("m4a", demuxer="mov")),
    (4, b"moov", Kind("mov", demuxer="mov")),
    (4, b"mdat", Kind("mov", demuxer="mov")),
    (4, b"wide", Kind("mov", demuxer="mov")),
)

# (first four bytes, bytes 8 to 12) of the containers that nest chunks in one form.
_FORMS = {
    (b"RIFF", b"WAVE"): Kind("wav", True, "wav"),
    (b"RIFX", b"WAVE"): Kind("rifx", True),
    (b"RF64", b"WAVE"): Kind("rf64", True, "wav"),
    (b"BW64", b"WAVE"): Kind("bw64", demuxer="wav"),
    (b"RIFF", b"AVI "): Kind("avi", demuxer="avi"),
    (b"FORM", b"AIFF"): Kind("aiff", True),
    (b"FORM", b"AIFC"): Kind("aiff", True, "aiff"),
    (b"FORM", b"8SVX"): Kind("svx", True),
    (b"FORM", b"16SV"): Kind("svx", True),
}

_OGG = Kind("ogg", True)
_OGG_CODECS = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC")
_OGG_OTHER = Kind("ogg (speex or video)", demuxer="ogg")
_MP3 = Kind("mp3", True, "mp3")
_ADTS = Kind("aac", demuxer="aac")


def sniff(head: bytes, after_tag: bytes | None = None) -> Kind | None:
    """Tell the kind of a file.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file, or all of it.
    after_tag : bytes, optional
        What follows the file's ID3 tag, if it has one (see `id3_length`).

    Returns
    -------
    Kind or None
        None if it is no audio file that speakerid knows.
    """
    if after_tag is not None:
        # The tag itself says that somebody means this to be music, so a damaged first frame is no reason to refuse.
        return _fixed(after_tag) or _mpeg(after_tag) or _MP3
    return _fixed(head) or _FORMS.get((head[:4], head[8:12])) or _ogg(head) or _mpeg(head) or _streams(head)


def id3_length(head: bytes) -> int:
    """Give the length of the ID3v2 tag in front of a file, 0 if there is none.

    Parameters
    ----------
    head : bytes
        At least the first ten bytes.

    Returns
    -------
    int
        In bytes, with the tag's own header and footer.
    """
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return size + (20 if head[5] & 0x10 else 10)


# Kilobits a second by (MPEG 1 or later, layer), for the indices 1 to 14.
_KILOBITS = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def mpeg_frame_length(header: bytes) -> int:
    """Give the length of an MPEG audio frame of any layer from its header.

    Parameters
    ----------
    header : bytes
        At least four bytes.

    Returns
    -------
    int
        In bytes; 0 if this is no header of a frame of a stated bit rate.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = (header[1] >> 3) & 3, 4 - ((header[1] >> 1) & 3)
    rate_index, index = (header[2] >> 2) & 3, header[2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or index in (0, 15):
        return 0
    first, padding = version == 3, (header[2] >> 1) & 1
    bits, rate = 1000 * _KILOBITS[first, layer][index - 1], mpeg_rate(header)
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (144 if first or layer == 2 else 72) * bits // rate + padding


def mpeg_rate(header: bytes) -> int:
    """Give the sample rate of an MPEG audio frame.

    Parameters
    ----------
    header : bytes
        A header that `mpeg_frame_length` accepts.

    Returns
    -------
    int
        In Hz.
    """
    return (44100, 48000, 32000)[(header[2] >> 2) & 3] >> {3: 0, 2: 1, 0: 2}[(header[1] >> 3) & 3]


def _fixed(head: bytes) -> Kind | None:
    return next((kind for offset, magic, kind in _FIXED if head.startswith(magic, offset)), None)


def _ogg(head: bytes) -> Kind | None:
    if head[:4] != b"OggS" or len(head) < 28:
        return None
    # The first packet starts after the page's header and its table of segments.
    return _OGG if head.startswith(_OGG_CODECS, 27 + head[26]) else _OGG_OTHER


def _mpeg(head: bytes) -> Kind | None:
    """Tell MP3 and AAC streams, whose frames start with eleven or twelve ones.

    That is also how UTF-16 text starts, so a second frame must stand where the first says it ends.
    """
    length = mpeg_frame_length(head)
    if length and (mpeg_frame_length(head[length : length + 4]) or len(head) <= length):
        return _MP3
    if len(head) > 7 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        following = head[length : length + 2]
        if length >= 7 and (len(following) < 2 or (following[0] == 0xFF and following[1] & 0xF6 == 0xF0)):
            return _ADTS
    return None


def _streams(head: bytes) -> Kind | None:
    for start, step in ((0, 188), (4, 192)):
        if len(head) > start + 2 * step and all(head[start + i * step] == 0x47 for i in range(3)):
            return Kind("mpeg-ts", demuxer="mpegts")
    if head[:2] == b"\x0b\x77":
        return Kind("ac3", demuxer="ac3")
    if len(head) > 3 and head[0] == 0x56 and head[1] & 0xE0 == 0xE0:
        length = 3 + ((head[1] & 0x1F) << 8 | head[2])
        if head[length : length + 1] == b"\x56":
            return Kind("aac", demuxer="loas")
    return None
