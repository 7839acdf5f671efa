"""Natural voices: Kokoro-82M, a neural text-to-speech network (hexgrad, Apache-2.0), as ONNX.

Its files are those of `common.corpora.kokoro_files`. The text is transcribed by espeak-ng, into the phonemes of the
network (its vocabulary is in `kokoro_phonemes`).
"""

import functools
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.synthesis.speech import espeak, kokoro_phonemes

FOLDER = "data/kokoro"
SAMPLE_RATE = 24000
# Single words sound right with a full stop, and when they are not slow: a keyword spotter that was trained on people took
# "up" for itself from 2 of 12 voices at 0.8, 9 at 1 and 11 at 1.3; without a full stop from 6, with other marks from 7 or 8.
SPEEDS = (1.0, 1.1, 1.2, 1.3, 1.45)
ENDINGS = (".", ".", ".", "!", "?", ",")

# By language of espeak-ng: the accent that transcribes the text, and the voices. The second letter is the sex.
_VOICES = {
    "en": {
        "en-us": "af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam"
        " am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa",
        "en-gb": "bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis",
    },
    "es": {"es": "ef_dora em_alex em_santa"},
    "fr": {"fr-fr": "ff_siwis"},
    "hi": {"hi": "hf_alpha hf_beta hm_omega hm_psi"},
    "it": {"it": "if_sara im_nicola"},
    "pt": {"pt-br": "pf_dora pm_alex pm_santa"},
}
_HELD_OUT = {"validation": ("af_sky", "am_liam"), "test": ("af_river", "bm_daniel")}
# Where the files are published, for messages.
SOURCE = "onnx-community/Kokoro-82M-v1.0-ONNX"
_STYLE_SIZE = 256


def voices(language: str) -> dict[str, list[str]]:
    """Return the voices of a language by split; no voice is in two splits.

    Args:
        language: A language code such as `en`, or an accent such as `en-gb`.

    Raises:
        UserError: Kokoro has no voices of the language.

    Example:
        >>> voices("en")["validation"]
        ['af_sky', 'am_liam']
    """
    found = _VOICES.get(language.split("-")[0], {})
    found = {accent: names for accent, names in found.items() if language in (accent, accent.split("-")[0])}
    if not found:
        known = ", ".join(sorted(_VOICES))
        raise UserError(f'--synthesizers=kokoro does not speak "{language}"; it speaks {known}: use espeak for others')
    listed = " ".join(found.values()).split()
    held_out = {split: [name for name in names if name in listed] for split, names in _HELD_OUT.items()}
    return {"train": [name for name in listed if name not in sum(held_out.values(), [])], **held_out}


def sex(voice: str) -> str:
    """Return `F` or `M`; that of the first voice of a blend."""
    return voice[1].upper()


def draw_voice(names: list[str], rng: np.random.Generator) -> str:
    """Draw a voice, or in half of the cases a blend of two of the same language, accent and sex, e.g. `af_sky+af_nova`."""
    voice = str(rng.choice(names))
    partners = [name for name in names if name[:2] == voice[:2] and name != voice]
    if partners and rng.random() < 0.5:
        return f"{voice}+{rng.choice(partners)}"
    return voice


def synthesize(text: str, voice: str, speed: float, folder: str | Path = FOLDER) -> np.ndarray:
    """Speak a text.

    Args:
        text: A word or a sentence, or phoneme code of espeak-ng in `[[` and `]]`, with or without a punctuation mark.
        voice: A voice, or a blend as in `draw_voice`.
        speed: Rate relative to the usual one, e.g. 1 to 1.5.
        folder: Folder with an ONNX file and `voices/*.bin`.

    Returns:
        The waveform, float32, shape `(samples,)`, at `SAMPLE_RATE`, with pauses around it.

    Raises:
        UserError: A file is missing or damaged, or the network has no sounds for the text.
    """
    accent = _accent(voice)
    tokens = kokoro_phonemes.tokens(espeak.phonemes(text, accent), accent, text[-1:] if text[-1:] in ENDINGS else "")
    if not tokens:
        raise UserError(f'Kokoro has no sounds for "{text}"; give words in the script of the language')
    parts = [_voice(Path(folder), name) for name in voice.split("+")]
    style = np.mean([part[min(len(tokens), len(part) - 1)] for part in parts], axis=0)
    session = _session(Path(folder))
    inputs = {
        session.get_inputs()[0].name: np.array([[0, *tokens, 0]], np.int64),
        "style": style.reshape(1, _STYLE_SIZE),
        "speed": np.array([speed], np.float32),
    }
    return np.asarray(session.run(None, inputs)[0], np.float32).ravel()


def networks(folder: Path) -> list[Path]:
    """List the ONNX files of a folder."""
    return sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])


def _accent(voice: str) -> str:
    return next(
        accent for group in _VOICES.values() for accent, names in group.items() if voice.split("+")[0] in names.split()
    )


@functools.cache
def _voice(folder: Path, name: str) -> np.ndarray:
    """Read the styles of a voice by number of phonemes, shape `(lengths, 256)`."""
    path = folder / "voices" / f"{name}.bin"
    try:
        styles = np.fromfile(path, np.float32)
        if not len(styles) or len(styles) % _STYLE_SIZE or not np.isfinite(styles).all():
            raise ValueError(f"{len(styles)} values")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the voice {path} ({error}); copy it from {SOURCE} again") from error
    return styles.reshape(-1, _STYLE_SIZE)


@functools.cache
def _session(folder: Path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Several processes speak at a time.
    options.intra_op_num_threads = 1
    path = networks(folder)[0]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the exceptions of onnxruntime have no public base class
        raise UserError(f"cannot load {path} ({str(error).splitlines()[0]}); copy it again") from error
