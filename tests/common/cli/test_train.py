from common import config
from common.cli import flags as shared_flags
from common.cli import train
from common.config import FlagValues
from common.training.options import Options
from kws.config import TASK, VARIANTS


def trained_as(*arguments):
    """Return what `train` hands to a task's `train_run`."""
    flags = FlagValues()
    shared_flags.define_training_flags(flags)
    config.define_flags(flags, VARIANTS)
    flags(["train", *arguments])
    return train.train(lambda *given: given, TASK, VARIANTS, flags)


def test_without_flags_the_options_are_the_defaults():
    assert trained_as() == (
        VARIANTS["default"],
        "runs/kws/default",
        "default",
        Options(),
    )


def test_every_flag_reaches_the_training():
    settings, folder, variant, options = trained_as(
        "--variant=tiny",
        "--epochs=7",
        "--run_dir=here",
        "--shards_dir=there",
        "--download",
        "--noresume",
        "--data_service=host:1",
        "--on_nan=restore",
        "--nojit_compile",
    )
    assert (settings.epochs, settings.width, folder, variant) == (7, VARIANTS["tiny"].width, "here", "tiny")
    assert options == Options("there", True, False, "host:1", "restore", False)
