"""Seeds of random streams, derived from the seed of a training.

Each stream has a name and three numbers. Never change them: a resumed run would repeat earlier draws, and an evaluation
would use other mixtures than those that it is compared with.
"""

from typing import NamedTuple


class Stream(NamedTuple):
    """A seed is `seed * factor + offset + number * stride`; a factor of 0 makes it independent of the training seed."""

    factor: int
    offset: int
    stride: int = 0


STREAMS = {
    # Order of a pass over shards, and random values of its batches; numbered by pass.
    "shards": Stream(100_003, 0, 1),
    # Configurations of teacher networks; numbered.
    "kws.teacher": Stream(1, 1000, 1000),
    # Augmented copies of a few recordings; numbered by copy.
    "kws.few": Stream(1000, 41, 1),
    "counting.training": Stream(1000, 17),
    "counting.evaluated.validation": Stream(0, 1),
    "counting.evaluated.test": Stream(0, 2),
    "counting.evaluated.train": Stream(0, 3),
    "counting.evaluated.all": Stream(0, 4),
    "counting.prepared.validation": Stream(1000, 101),
    "counting.prepared.test": Stream(1000, 102),
    "counting.prepared.train": Stream(1000, 103),
    "classifier.augmentation": Stream(10, 1, 1),
    "separation.training": Stream(1000, 29),
    "separation.evaluated.train": Stream(0, 0),
    "separation.evaluated.validation": Stream(0, 1),
    "separation.evaluated.test": Stream(0, 2),
    "separation.evaluated.all": Stream(0, 3),
    "generation.training": Stream(1000, 31),
    "generation.exported": Stream(0, 1),
    "generation.watched": Stream(0, 20_000),
    "generation.evaluated": Stream(0, 30_000),
}

# Offset between the seeds of two workers: a prime larger than every factor.
WORKER_STRIDE = 15_485_863


def stream_seed(seed: int, stream: str, number: int = 0) -> int:
    """Return the seed of a random stream.

    Args:
        seed: The seed of the training.
        stream: A key of `STREAMS`.
        number: Index of the stream among several of its kind, from 0; may be a tensor.

    Example:
        >>> stream_seed(2, "counting.training"), stream_seed(2, "counting.evaluated.test")
        (2017, 2)
    """
    factor, offset, stride = STREAMS[stream]
    return seed * factor + offset + number * stride
