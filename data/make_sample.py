"""Make the sample recordings in ``data/sample`` with free speech synthesizers.

Every recording is a synthetic voice reading a sentence written for this file. Nobody was recorded.

It needs these packages of Debian's main archive (all of them are free software)::

    apt-get install espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-ru festvox-italp16k \
        festival-ca festvox-ca-ona-hts festival-czech festvox-czech-dita festvox-suopuhe-lj festvox-suopuhe-mv

and the Python packages numpy, soundfile and soxr. Then::

    python data/make_sample.py            # writes data/sample
    python data/make_sample.py --check    # makes them again elsewhere and compares, writes nothing

What is done to a recording: synthesis at the voice's own rate, resampling to 16 kHz, silence at both ends cut to 0.2 s,
a peak between -15 and -9 dBFS, a noise floor near -72 dBFS, 16-bit FLAC. Gain and noise are drawn from a generator
seeded with ``--seed`` and the recording's name, so no recording depends on another, and two runs with the same
synthesizers give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

RATE_HZ = 16_000
MARGIN_S = 0.2  # silence kept at both ends
SILENCE_S = 3.0  # duration of silence.flac
PEAK_DBFS = -9.0  # the loudest peak; the gain below is added to it
GAIN_DB = (-6.0, 0.0)
NOISE_DBFS = -72.0  # root mean square
SPEECH_DB = -40.0  # a 10 ms frame this far below the loudest one is silence, for trimming

DEBIAN_PACKAGES = (
    "espeak-ng flite festival festvox-kallpc16k festvox-kdlpc16k festvox-ru festvox-italp16k festival-ca "
    "festvox-ca-ona-hts festival-czech festvox-czech-dita festvox-suopuhe-lj festvox-suopuhe-mv"
)


class SynthesisError(Exception):
    """A synthesizer is missing or failed; the message says which one."""


@dataclass(frozen=True)
class Voice:
    """One synthetic voice and what it says.

    Attributes
    ----------
    name : str
        The folder's name in ``enroll``; empty for a voice that is not enrolled.
    slug : str
        The beginning of the file names, plain ASCII.
    engine : str
        ``espeak-ng``, ``flite`` or ``festival``.
    voice : str
        The voice as the engine calls it.
    enroll, test : tuple of str
        One sentence a recording.
    encoding : str
        What Festival's voice expects its text in. The other engines take UTF-8.
    speed : int
        Words a minute, for espeak-ng only.
    """

    name: str
    slug: str
    engine: str
    voice: str
    enroll: tuple[str, ...]
    test: tuple[str, ...]
    encoding: str = "utf-8"
    speed: int = 150


VOICES = (
    Voice(
        "Alice",
        "alice",
        "flite",
        "slt",
        (
            "The morning train was late, so we drank our tea on the platform.",
            "My sister keeps three hens in the garden, and they follow her around.",
            "Put the blue box on the top shelf, and leave the smaller one by the door.",
        ),
        (
            "Could you tell me when the museum opens on Sunday?",
            "We walked along the river until it was dark.",
        ),
    ),
    Voice(
        "Robert",
        "robert",
        "flite",
        "rms",
        (
            "The old bridge was closed, so everybody took the long way.",
            "I bought a pound of apples and a loaf of bread at the market.",
            "Nobody noticed that the clock in the hall had stopped on Friday.",
        ),
        ("The garden needs more water in July.",),
    ),
    Voice(
        "Duncan",
        "duncan",
        "flite",
        "awb",
        (
            "There was fresh snow on the hills this morning, but the road to the village was clear.",
            "A small dog slept under the table while we talked about the summer holidays.",
            "The ferry leaves at quarter past seven and comes back in the early evening.",
        ),
        (
            "Please close the window before you go out.",
            "Every room in the cottage smelled of wood smoke.",
        ),
    ),
    Voice(
        "Tom",
        "tom",
        "festival",
        "ked_diphone",
        (
            "The library has a quiet corner where the students work after lunch.",
            "Our neighbour repaired the fence with some boards from his workshop.",
            "It takes twenty minutes to cook rice, and more for beans.",
        ),
        (
            "Ask him where the path to the harbour begins.",
            "The children painted the boat green and white.",
        ),
    ),
    Voice(
        "Mary Ann",
        "mary-ann",
        "espeak-ng",
        "en-us+f5",
        (
            "I found your umbrella behind the piano, on some newspapers.",
            "They planted four cherry trees behind the school in spring.",
            "The baker on the corner opens early and sells out before ten.",
        ),
        ("My bicycle has a flat tyre and no bell.",),
    ),
    Voice(
        "José",
        "jose",
        "espeak-ng",
        "es+klatt",
        (
            "El domingo fuimos a la playa y comimos debajo de un árbol.",
            "La panadería cierra los lunes, pero abre las demás tardes.",
            "Mi hermano guarda las cartas en una caja junto a la ventana.",
        ),
        (
            "¿A qué hora sale el autobús para el centro?",
            "Hace mucho calor esta tarde en la plaza.",
        ),
    ),
    Voice(
        "Giulia",
        "giulia",
        "festival",
        "lp_diphone",
        (
            "La domenica andiamo al mercato e compriamo pane e formaggio.",
            "Il treno per la montagna parte alle nove e arriva poco prima di pranzo.",
            "Nel giardino della nonna ci sono due alberi di limone e una vecchia fontana.",
        ),
        ("Questa sera ceniamo tutti insieme sulla terrazza.",),
        encoding="iso-8859-15",
    ),
    Voice(
        "Núria",
        "nuria",
        "festival",
        "upc_ca_ona_hts",
        (
            "Avui fa bon temps i anirem a passejar pel camí de la muntanya.",
            "La botiga del poble obre a les nou i tanca quan es fa fosc.",
            "El meu germà toca el piano cada tarda abans de sopar amb la família.",
        ),
        ("Demà al matí agafarem el tren de les vuit.",),
        encoding="iso-8859-15",
    ),
    Voice(
        "Aino",
        "aino",
        "festival",
        "suo_fi_lj_diphone",
        (
            "Aamulla satoi lunta, mutta nyt lapset leikkivät pihalla.",
            "Juna lähtee asemalta kello kahdeksan ja on perillä ennen iltaa.",
            "Vanha talo järven rannalla on maalattu punaiseksi ja valkoiseksi.",
        ),
        (
            "Keittiön pöydällä on tuoretta leipää ja maitoa.",
            "Kesällä me soudamme usein saareen.",
        ),
        encoding="iso-8859-15",
    ),
    Voice(
        "Ivan",
        "ivan",
        "festival",
        "msu_ru_nsh_clunits",
        (
            "Утром мы пили чай и смотрели на туман над рекой.",
            "В нашем городе есть парк, где играет музыка.",
            "Поезд приходит в семь часов и стоит на станции десять минут.",
        ),
        ("Сегодня вечером мы идём в театр.",),
    ),
    Voice(
        "",
        "stranger-1",
        "festival",
        "kal_diphone",
        (),
        ("The lamp in the hallway flickers when the wind is strong.",),
    ),
    Voice(
        "",
        "stranger-2",
        "festival",
        "czech_dita",
        (),
        ("Odpoledne půjdeme do lesa a večer uvaříme polévku.",),
        encoding="iso-8859-2",
    ),
    Voice(
        "",
        "stranger-3",
        "festival",
        "hy_fi_mv_diphone",
        (),
        ("Kissa nukkuu, vaikka ulkona tuulee kovasti.",),
        encoding="iso-8859-15",
    ),
)


# the conversation: two strangers and six of those who are enrolled, one of them twice
CONVERSATION = ("alice-1", "robert-1", "stranger-1", "alice-2", "jose-1", "tom-1", "stranger-2", "nuria-1")
PAUSE_S, PAUSE_LEVEL = 0.5, 6.0


def synthesize(voice: Voice, text: str, folder: Path) -> tuple[np.ndarray, int]:
    """Speak a sentence.

    Parameters
    ----------
    voice : Voice
        Who speaks.
    text : str
        What to say.
    folder : Path
        Where the temporary text and wav files may go.

    Returns
    -------
    samples : ndarray of float64, shape (n_samples,)
        Full scale is 1.
    rate_hz : int
        The voice's own sampling rate.
    """
    text_path, wav_path = folder / "sentence.txt", folder / "speech.wav"
    wav_path.unlink(missing_ok=True)
    text_path.write_bytes(text.encode(voice.encoding) + b"\n")
    if voice.engine == "flite":
        command = ["flite", "-voice", voice.voice, "-f", str(text_path), "-o", str(wav_path)]
    elif voice.engine == "espeak-ng":
        command = [
            "espeak-ng",
            "-b",
            "1",
            "-v",
            voice.voice,
            "-s",
            str(voice.speed),
            "-f",
            str(text_path),
            "-w",
            str(wav_path),
        ]
    else:
        command = ["text2wave", "-eval", f"(voice_{voice.voice})", "-o", str(wav_path), str(text_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=120)
    except FileNotFoundError:
        raise SynthesisError(f"{command[0]} is not installed; try: apt-get install {DEBIAN_PACKAGES}") from None
    except subprocess.TimeoutExpired:
        raise SynthesisError(f"{command[0]} did not finish {voice.voice!r} in 120 s") from None
    # Festival exits with 0 when a voice is missing, so look at what it says.
    if done.returncode != 0 or "ERROR" in done.stderr or not wav_path.is_file():
        story = (done.stderr.strip() or "no output").splitlines()[0]
        raise SynthesisError(f"{command[0]} failed with voice {voice.voice!r}: {story}")
    samples, rate_hz = sf.read(wav_path, dtype="float64", always_2d=True)
    return samples.mean(axis=1), rate_hz


def check_voices() -> None:
    """Raise `SynthesisError` for a voice that flite or espeak-ng would silently replace with another one."""
    listings = {"flite": ["flite", "-lv"], "espeak-ng": ["espeak-ng", "--voices=variant"]}
    for engine, command in listings.items():
        try:
            listing = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout
        except FileNotFoundError:
            raise SynthesisError(f"{engine} is not installed; try: apt-get install {DEBIAN_PACKAGES}") from None
        known = {word.removeprefix("!v/") for word in listing.split()}
        for voice in VOICES:
            if voice.engine == engine and voice.voice.split("+")[-1] not in known:
                raise SynthesisError(f"{engine} has no voice {voice.voice!r}")


def trim(samples: np.ndarray) -> np.ndarray:
    """Cut or pad the silence at both ends to ``MARGIN_S``; samples are (n_samples,) at ``RATE_HZ``."""
    size = RATE_HZ // 100
    n_frames = len(samples) // size
    energy = np.mean(samples[: n_frames * size].reshape(n_frames, size) ** 2, axis=1)
    loud = np.flatnonzero(energy > energy.max() * 10 ** (SPEECH_DB / 10))
    if energy.max() == 0.0:
        raise SynthesisError("a synthesizer gave nothing but silence")
    margin = round(MARGIN_S * RATE_HZ)
    padded = np.pad(samples, margin)
    # Speech is samples[loud[0] * size : (loud[-1] + 1) * size]; padding has moved it to the right by one margin.
    return padded[loud[0] * size : (loud[-1] + 1) * size + 2 * margin]


def record(voice: Voice, text: str, name: str, seed: int, folder: Path) -> np.ndarray:
    """Synthesize one recording and give it its level and its noise.

    Parameters
    ----------
    voice, text, folder
        As for `synthesize`.
    name : str
        The recording's path inside the sample folder; with `seed` it decides gain and noise.
    seed : int
        The seed of the whole set.

    Returns
    -------
    samples : ndarray of int16, shape (n_samples,)
        At ``RATE_HZ``.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    samples, rate_hz = synthesize(voice, text, folder)
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, quality="VHQ")
    samples = trim(samples)
    peak = 10 ** ((PEAK_DBFS + rng.uniform(*GAIN_DB)) / 20)
    samples = samples * (peak / np.abs(samples).max())
    samples = samples + 10 ** (NOISE_DBFS / 20) * rng.standard_normal(len(samples))
    quantized: np.ndarray = np.round(samples * 32767).astype(np.int16)
    return quantized


def plan() -> list[tuple[str, str, Voice | None, str]]:
    """List what the sample consists of.

    Returns
    -------
    list of (path, speaker, voice, text)
        `path` inside the sample folder; `speaker` is empty for silence; `voice` is None for silence.
    """
    rows: list[tuple[str, str, Voice | None, str]] = []
    for voice in VOICES:
        for i, text in enumerate(voice.enroll, start=1):
            rows.append((f"enroll/{voice.name}/{voice.slug}-enroll-{i}.flac", voice.name, voice, text))
    for voice in VOICES:
        for i, text in enumerate(voice.test, start=1):
            file = f"{voice.slug}-{i}.flac" if voice.name else f"{voice.slug}.flac"
            rows.append((f"test/{file}", voice.name or voice.slug, voice, text))
    rows.append(("test/silence.flac", "", None, ""))
    return rows


def make(output: Path, seed: int) -> list[Path]:
    """Write the sample recordings and their protocol into a folder; return the paths written, inside it."""
    check_voices()
    written = []
    protocol = io.StringIO()
    table = csv.writer(protocol, lineterminator="\n")
    table.writerow(["path", "speaker", "split"])
    with tempfile.TemporaryDirectory() as folder:
        for name, speaker, voice, text in plan():
            if voice is None:
                samples = np.zeros(round(SILENCE_S * RATE_HZ), dtype=np.int16)
            else:
                samples = record(voice, text, name, seed, Path(folder))
                table.writerow([name, speaker, name.split("/")[0]])
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, samples, RATE_HZ, subtype="PCM_16", format="FLAC", compression_level=1.0)
            written.append(Path(name))
            print(f"{name:<44} {len(samples) / RATE_HZ:5.2f} s  {path.stat().st_size:>7} bytes", file=sys.stderr)
    (output / "protocol.csv").write_text(protocol.getvalue(), encoding="utf-8")
    return [*written, Path("protocol.csv"), *converse(output, seed)]


def converse(output: Path, seed: int) -> list[Path]:
    """Join test recordings to a conversation with pauses, and write who speaks when; give the files' names."""
    rng = np.random.default_rng(seed)
    names = {Path(name).stem: speaker for name, speaker, _voice, _text in plan() if name.startswith("test/")}
    parts: list[np.ndarray] = []
    lines = []
    for stem in CONVERSATION:
        samples, _rate = sf.read(output / "test" / f"{stem}.flac", dtype="int16")
        start = sum(map(len, parts)) / RATE_HZ
        lines.append(
            f"SPEAKER conversation 1 {start:.3f} {len(samples) / RATE_HZ:.3f} <NA> <NA> {names[stem]} <NA> <NA>\n"
        )
        quiet = rng.normal(scale=PAUSE_LEVEL, size=round(PAUSE_S * RATE_HZ))
        parts += [samples, np.round(quiet).astype(np.int16)]
    sf.write(output / "conversation.flac", np.concatenate(parts), RATE_HZ, subtype="PCM_16", format="FLAC")
    (output / "conversation.rttm").write_text("".join(lines), encoding="utf-8")
    return [Path("conversation.flac"), Path("conversation.rttm")]


def differences(output: Path, seed: int) -> list[str]:
    """Make the set in a temporary folder and name the files of `output` that are not the same, byte for byte."""
    with tempfile.TemporaryDirectory() as folder:
        written = make(Path(folder), seed)
        return [
            str(name)
            for name in written
            if not (output / name).is_file() or (output / name).read_bytes() != (Path(folder) / name).read_bytes()
        ]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Make the sample recordings with free speech synthesizers.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "sample", help="folder to write")
    parser.add_argument("--seed", type=int, default=2024, help="seed of gains and noise (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="compare with OUTPUT instead of writing it")
    options = parser.parse_args(argv)
    try:
        if options.check:
            different = differences(options.output, options.seed)
            for name in different:
                print(f"differs: {name}")
            print("the same files" if not different else f"{len(different)} files differ")
            return 1 if different else 0
        # A synthesizer that is missing must not leave half a set: make all of it first, then copy.
        with tempfile.TemporaryDirectory() as folder:
            fresh = (
                Path(folder) / "sample"
            )  # the temporary folder itself is closed to others, and copytree copies modes
            written = make(fresh, options.seed)
            shutil.copytree(fresh, options.output, dirs_exist_ok=True)
    except SynthesisError as error:
        print(f"make_sample: {error}", file=sys.stderr)
        return 1
    names = {options.output / name for name in written}
    for stale in sorted(set(options.output.rglob("*.flac")) - names):
        print(f"make_sample: {stale} is not part of the set any more; delete it", file=sys.stderr)
    total = sum(path.stat().st_size for path in names)
    print(f"{len(written) - 1} recordings, {total / 1e6:.2f} MB, in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
