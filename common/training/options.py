"""Options of a training that are not part of its configuration."""

import dataclasses
from pathlib import Path

from common import arguments
from common.errors import UserError

SHARDS_DIR = "data/shards"
# What to do if the loss is NaN or explodes; see `common.training.watchdog`.
ON_NAN = ("stop", "restore")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of `train_run`.

    Attributes:
        shards_dir: Folder for decoded recordings.
        download: Whether to download a missing corpus.
        resume: Whether to resume the run in the run directory; otherwise that folder is renamed.
        data_service: HOST:PORT of a dispatcher whose workers prepare the batches; empty to prepare them in this process.
        on_nan: One of `ON_NAN`.
        tune_jit_compile: Whether precision `auto` also decides on XLA; otherwise `jit_compile` of the configuration holds.

    Raises:
        UserError: A value is of another type, or not one of its choices.
    """

    shards_dir: str | Path = SHARDS_DIR
    download: bool = False
    resume: bool = True
    data_service: str = ""
    on_nan: str = ON_NAN[0]
    tune_jit_compile: bool = True

    def __post_init__(self):
        """Check the values."""
        arguments.path("shards_dir", self.shards_dir)
        arguments.one_of("on_nan", self.on_nan, ON_NAN)
        if not isinstance(self.data_service, str):
            raise UserError(f"data_service: expected HOST:PORT, got {self.data_service!r}")
