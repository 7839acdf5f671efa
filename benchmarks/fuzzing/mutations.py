"""Damage one file of a good input: by its bytes, or by what its format means."""

import random
import warnings
from collections.abc import Callable, Sequence

from benchmarks.fuzzing import archive_mutations, array_mutations, audio_mutations, byte_mutations, text_mutations

# By suffix; files of other suffixes are audio.
_FORMATS = {
    ".json": text_mutations.JSON_MUTATIONS,
    ".csv": text_mutations.TABLE_MUTATIONS,
    ".txt": text_mutations.TABLE_MUTATIONS,
    ".tar": archive_mutations.TAR_MUTATIONS,
    ".gz": archive_mutations.TAR_MUTATIONS,
    ".bz2": archive_mutations.TAR_MUTATIONS,
    ".xz": archive_mutations.TAR_MUTATIONS,
    ".zip": archive_mutations.ZIP_MUTATIONS,
    ".npz": array_mutations.NPZ_MUTATIONS,
    ".keras": array_mutations.KERAS_MUTATIONS,
    ".tfrecord": array_mutations.RECORD_MUTATIONS,
    ".pcm": byte_mutations.MUTATIONS,
}

Input = dict[str, bytes]


def mutate(inputs: Sequence[Input], targets: Sequence[str], reader: str, seed: int, number: int) -> Input:
    """Return the input of a number, the same one for the same seed.

    Args:
        inputs: Good inputs: the content of each file by its path.
        targets: Ends of the paths of the files to damage.
        reader: Name of the reader, which has numbers of its own.
        seed: Of all inputs.
        number: Of this input.
    """
    rng = random.Random(f"{seed}/{reader}/{number}")
    files = dict(rng.choice(inputs))
    name = rng.choice([name for name in files if name.endswith(tuple(targets))])
    content = files[name]
    formats = _FORMATS.get("." + name.rpartition(".")[2].lower(), audio_mutations.MUTATIONS)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 6))):
        if rng.random() < 0.05:
            other = rng.choice(inputs)
            content = byte_mutations.splice(rng, content, other.get(name, rng.choice(list(other.values()))))
        else:
            content = _changed(rng, rng.choice(formats if rng.random() < 0.6 else byte_mutations.MUTATIONS), content)
        if len(content) > byte_mutations.MAX_BYTES:
            break
    return {**files, name: content}


def _changed(rng: random.Random, mutation: Callable[[random.Random, bytes], bytes], content: bytes) -> bytes:
    """Return what a mutation makes of some content; one that no longer understands it gives way to flipped bits."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mutation(rng, content)
    except Exception:  # The formats' own libraries read what was damaged before, and have exceptions of their own.
        return byte_mutations.flip_bits(rng, content)
