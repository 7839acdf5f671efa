"""The seeds of random draws: how the numbers that a stream of draws begins from follow from a training's seed.

Each stream is a name with three numbers. They are never changed: with others a run that goes on would draw what it drew
before, and an evaluation would measure other mixtures than those it is compared with.
"""

from typing import NamedTuple


class Stream(NamedTuple):
    """A seed is `seed * factor + offset + number * stride`; a factor of 0 draws the same whatever the training's seed."""

    factor: int
    offset: int
    stride: int = 0


STREAMS = {
    # The order of a pass over shards, and what is drawn for its batches; the number is that of the pass.
    "shards": Stream(100_003, 0, 1),
    # The configurations of networks that another one learns from; numbered.
    "kws.teacher": Stream(1, 1000, 1000),
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

# The draws of two workers are this far apart: a prime beyond every factor.
WORKER_STRIDE = 15_485_863


def stream_seed(seed: int, stream: str, number: int = 0) -> int:
    """Return the number that a stream of draws begins from.

    Args:
        seed: The training's seed.
        stream: Which one, a key of `STREAMS`.
        number: Which of several draws of its kind, from 0; may be a tensor.

    Example:
        >>> stream_seed(2, "counting.training"), stream_seed(2, "counting.evaluated.test")
        (2017, 2)
    """
    factor, offset, stride = STREAMS[stream]
    return seed * factor + offset + number * stride
