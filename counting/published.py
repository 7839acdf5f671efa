"""The published networks of the student report, and the runs that reproduce them; does not need TensorFlow."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from common import config as configs
from common.errors import UserError, nearest
from counting.config import PREPARED, VARIANTS, Config

# The report's two tables, of waveform and spectrogram networks. Accuracies are fractions; for spectrogram networks, the
# report gives the largest training accuracy. Minutes are on a Colab GPU. The report describes M34-res but did not train
# it.
PUBLISHED = pd.DataFrame(
    [
        ("m3", 5923, 0.573, 0.7489, 0.631, 0.7395, 24.0),
        ("m5", 37507, 0.384, 0.8308, 0.482, 0.7937, 36.0),
        ("m11", 449059, 0.346, 0.8632, 0.902, 0.7367, 50.0),
        ("m18", 924643, 0.313, 0.8672, 0.638, 0.7707, 80.0),
        ("m34_res", np.nan, np.nan, np.nan, np.nan, np.nan, np.nan),
        ("cnn_2d_1", 483, 0.889, 0.586, np.nan, np.nan, np.nan),
        ("cnn_2d_2", 9795, 0.699, 0.6857, np.nan, np.nan, 28.6),
        ("cnn_2d_4", 65571, 0.948, 0.542, np.nan, np.nan, np.nan),
    ],
    columns=["network", "parameters", "loss", "accuracy", "val_loss", "val_accuracy", "minutes"],
).set_index("network")
NETWORK_VARIANTS = {name: f"report-{name.replace('cnn_2d', '2d').replace('_', '-')}" for name in PUBLISHED.index}
_QUICK = {"epochs": 2, "epoch_examples": 3200, "validation_mixtures": 600, "test_mixtures": 600}


def plan(flags: configs.FlagValues) -> dict[str, Config]:
    """Return the configuration of each network of `--networks`, with the flags that were given.

    Raises:
        UserError: There is no such network, or a value is out of its range.
    """
    networks = choose_networks(flags.networks)
    changes = {"corpus": "librispeech", "keep_epoch": "last", **(_QUICK if flags.quick else {})}
    changes |= configs.given(flags, VARIANTS["report"])
    if changes["corpus"] == PREPARED:
        raise UserError(
            "--corpus=prepared: the report needs new mixtures in every epoch, expected a corpus of speakers"
        )
    return {network: dataclasses.replace(VARIANTS[NETWORK_VARIANTS[network]], **changes) for network in networks}


def choose_networks(names: Sequence[str] | None) -> list[str]:
    """Return the networks named by `--networks`, or all, in the report's order.

    Raises:
        UserError: A network does not exist.
    """
    known = list(PUBLISHED.index)
    if names is None:
        return known
    for name in names or [""]:
        if name not in known:
            raise UserError(f"--networks: expected any of {', '.join(known)}, got {name!r}.{nearest(name, known)}")
    return [name for name in known if name in names]
