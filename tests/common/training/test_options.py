import pytest

from common import config
from common.cli import app
from common.config import FlagValues
from common.training import options as training_options
from common.training.options import Options
from kws.config import TASK, VARIANTS


def trained_as(*arguments, download_flag=True):
    """Return what `train` hands to a task's `train_run`."""
    flags = FlagValues()
    training_options.define_flags(flags)
    (app.define_corpus_flags if download_flag else app.define_shards_flag)(flags)
    config.define_flags(flags, VARIANTS)
    flags(["train", *arguments])
    return training_options.train(lambda *given: given, TASK, VARIANTS, flags)


@pytest.mark.parametrize("download_flag", [True, False])
def test_without_flags_the_options_are_the_defaults(download_flag):
    assert trained_as(download_flag=download_flag) == (
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
