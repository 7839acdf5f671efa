"""How a run is trained, beside what is trained: what `train_run` takes beside the configuration."""

import dataclasses
from pathlib import Path

SHARDS_DIR = "data/shards"
# What to do when the loss is not a number or explodes; see `common.training.watchdog`.
ON_NAN = ("stop", "restore")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is trained.

    Attributes:
        shards_dir: Where decoded recordings are kept.
        download: Whether to fetch a corpus that is not there.
        resume: Whether to go on with what is in the run directory; otherwise it is moved aside.
        data_service: HOST:PORT of a dispatcher whose workers make the training batches; empty to make them here.
        on_nan: One of `ON_NAN`.
        tune_jit_compile: Whether with `--precision=auto` XLA is chosen too; otherwise the configuration decides.
    """

    shards_dir: str | Path = SHARDS_DIR
    download: bool = False
    resume: bool = True
    data_service: str = ""
    on_nan: str = ON_NAN[0]
    tune_jit_compile: bool = True
