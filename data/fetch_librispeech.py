"""Fetch LibriSpeech dev-clean and lay it out as one folder a speaker.

LibriSpeech is read English speech from LibriVox audio books: 40 speakers, 2,703 utterances, 5.4 hours, 16 kHz FLAC, a
download of 338 MB. Licence: CC BY 4.0. Paper: Panayotov, Chen, Povey and Khudanpur, "Librispeech: an ASR corpus based
on public domain audio books", ICASSP 2015. ::

    python data/fetch_librispeech.py                             # into data/librispeech-dev-clean
    python data/fetch_librispeech.py --archive dev-clean.tar.gz  # the archive is here already

The archive's checksum is verified before anything in it is read. The result is

    data/librispeech-dev-clean/<speaker>/<speaker>-<chapter>-<utterance>.flac
    data/librispeech-dev-clean/SOURCE.txt

SOURCE.txt is written last: while it is missing the work is not done, and running the script again finishes it. When it
is there, running the script again does nothing. A download needs pooch (`pip install pooch`).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import sys
import tarfile
import zlib
from pathlib import Path

URL = "https://www.openslr.org/resources/12/dev-clean.tar.gz"
MD5 = "42e2234ba48799c1f50f24a7926300a1"
ARCHIVE_NAME = "dev-clean.tar.gz"
UTTERANCE = re.compile(r"LibriSpeech/dev-clean/(?P<speaker>\d+)/(?P<chapter>\d+)/(?P=speaker)-(?P=chapter)-\d+\.flac")


class FetchError(Exception):
    """The corpus could not be fetched or laid out; the message is one line for a person."""


def download(folder: Path, *, url: str = URL, md5: str = MD5) -> Path:
    """Download the archive into a folder, or find it there; its checksum is right when this returns."""
    try:
        import pooch  # noqa: PLC0415 - not needed with --archive or when the work is done
        import requests  # noqa: PLC0415 - comes with pooch
    except ImportError:
        raise FetchError("a download needs pooch; try: pip install pooch") from None
    pooch.get_logger().setLevel("WARNING")
    print(f"downloading {url}", file=sys.stderr)
    try:
        return Path(pooch.retrieve(url, known_hash=f"md5:{md5}", fname=ARCHIVE_NAME, path=folder))
    except requests.RequestException as error:
        raise FetchError(
            f"cannot download {url} ({type(error).__name__}); check the network, or download it by other means "
            "and use --archive FILE"
        ) from None
    except ValueError:
        raise FetchError(f"the download of {url} does not have the md5 {md5}; try again") from None
    except OSError as error:
        raise FetchError(f"cannot write to {folder}: {error.strerror or error}") from None


def verify(archive: Path, *, md5: str = MD5) -> None:
    """Raise `FetchError` unless the file has this md5."""
    try:
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise FetchError(f"cannot read {archive}: {error.strerror or error}") from None
    if found != md5:
        raise FetchError(f"{archive} has md5 {found}, expected {md5}; download it again from {URL}")


def lay_out(archive: Path, output: Path) -> int:
    """Unpack the utterances of an archive into ``output/<speaker>/``.

    Members that are not utterances (transcripts, notes) are left in the archive. Unpacking goes through a hidden folder
    and `tarfile`'s "data" filter, so nothing is written outside `output` and no half-written file gets its final name.

    Parameters
    ----------
    archive : Path
        A tar.gz with ``LibriSpeech/dev-clean/<speaker>/<chapter>/<utterance>.flac``.
    output : Path
        The corpus folder.

    Returns
    -------
    int
        The number of utterances in the archive.
    """
    if not hasattr(tarfile, "data_filter"):
        raise FetchError("this Python cannot unpack archives safely; use 3.11.4 or later")
    unpacked = output / ".unpack"
    count = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                match = UTTERANCE.fullmatch(member.name)
                if match is None or not member.isfile():
                    continue
                tar.extract(member, unpacked, filter="data")
                speaker = output / match["speaker"]
                speaker.mkdir(parents=True, exist_ok=True)
                (unpacked / member.name).replace(speaker / Path(member.name).name)
                count += 1
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise FetchError(f"{archive} is not a whole tar.gz archive: {error}") from None
    except OSError as error:
        raise FetchError(f"cannot unpack {archive} into {output}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    if count == 0:
        raise FetchError(f"{archive} has no LibriSpeech/dev-clean/<speaker>/<chapter>/*.flac in it")
    return count


def fetch(output: Path, archive: Path | None = None, *, keep: bool = False, url: str = URL, md5: str = MD5) -> str:
    """Do the whole job and say what was done.

    Parameters
    ----------
    output : Path
        The corpus folder.
    archive : Path, optional
        An archive that is here already; without it, `url` is downloaded.
    keep : bool
        Keep the downloaded archive, in ``output/.download``.
    url, md5 : str
        Where the archive is and what its checksum must be.
    """
    note = output / "SOURCE.txt"
    if note.is_file():
        return f"{output} is complete already; delete {note.name} to make it again"
    folder = output / ".download"
    if archive is None:
        archive = download(folder, url=url, md5=md5)
    else:
        verify(archive, md5=md5)
    count = lay_out(archive, output)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    speakers = sum(path.is_dir() and not path.name.startswith(".") for path in output.iterdir())
    text = f"LibriSpeech dev-clean, CC BY 4.0\n{url}\nmd5 {md5}\n{speakers} speakers, {count} utterances\n"
    partial = output / ".SOURCE.txt"
    partial.write_text(text, encoding="utf-8")
    partial.replace(note)
    return f"{speakers} speakers, {count} utterances in {output}"


def main(argv: list[str] | None = None, *, url: str = URL, md5: str = MD5) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Fetch LibriSpeech dev-clean, one folder a speaker.")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "librispeech-dev-clean", help="the corpus folder"
    )
    parser.add_argument("--archive", type=Path, help=f"a {ARCHIVE_NAME} that is here already, instead of a download")
    parser.add_argument("--keep-archive", action="store_true", help="do not delete the downloaded archive")
    options = parser.parse_args(argv)
    try:
        print(fetch(options.output, options.archive, keep=options.keep_archive, url=url, md5=md5))
    except FetchError as error:
        print(f"fetch_librispeech: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
