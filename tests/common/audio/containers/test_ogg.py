"""Pages of Ogg, and the streams that follow each other."""

import io

import numpy as np
import pytest
import soundfile

from common import audio
from common.audio.containers import examine


def encoded(subtype: str = "VORBIS", rate: int = 16000, seconds: float = 2.0, seed: int = 0) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    soundfile.write(file, noise, rate, format="OGG", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_streams_that_follow_each_other_are_read_as_each_alone(subtype):
    contents = [encoded(subtype, seed=seed, seconds=1.0 + seed) for seed in range(3)]
    joined, _ = audio.read(io.BytesIO(b"".join(contents)))
    alone = np.concatenate([audio.read(io.BytesIO(content))[0] for content in contents])
    np.testing.assert_allclose(joined, alone, atol=1e-6)


def test_whole_files_are_left_as_they_are():
    content = encoded()
    (part,) = examine(io.BytesIO(content))
    assert part.is_file(len(content)) and not part.lacks_end


def test_damaged_bytes_between_pages_are_passed_over():
    content = encoded(seconds=8.0)
    at = content.index(b"OggS", len(content) // 2)
    whole, _ = audio.read(io.BytesIO(content))
    found, _ = audio.read(io.BytesIO(content[:at] + b"lost" * 100 + content[at:]))
    assert len(found) == len(whole)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("kept", [0.4, 0.6, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_recorder_that_began_again_in_the_same_file_loses_nothing(subtype, kept, seed):
    first, second = encoded(subtype, seconds=6.0), encoded(subtype, seconds=3.0, seed=seed)
    cut = first[: round(kept * len(first))]
    alone, _ = audio.read(io.BytesIO(cut))
    found, rate = audio.read(io.BytesIO(cut + second))
    assert len(found) == len(alone) + len(audio.read(io.BytesIO(second))[0])


def test_a_page_that_is_missing_is_said(caplog):
    content = encoded(seconds=8.0)
    first = content.index(b"OggS", len(content) // 2)
    second = content.index(b"OggS", first + 4)
    (part,) = examine(io.BytesIO(content[:first] + content[second:]))
    assert part.has_gap
