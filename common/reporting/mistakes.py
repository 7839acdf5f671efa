"""The wrong predictions of a classifier as a table, the most confident one first."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def table(
    files: Sequence[str],
    true: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    **others: np.ndarray,
) -> pd.DataFrame:
    """List wrong predictions by falling probability; equal ones stay in the given order.

    Args:
        files: The recording of each wrong prediction, or several separated by `;`.
        true: What is right, shape `(mistakes,)`.
        predicted: What the model says, same shape.
        probabilities: Probability of the prediction, same shape.
        **others: More columns, same shape.

    Returns:
        The columns `file`, `true`, `predicted`, `probability`, and the others.
    """
    columns = {"file": list(files), "true": true, "predicted": predicted, "probability": probabilities, **others}
    return pd.DataFrame(columns).sort_values("probability", ascending=False, kind="stable", ignore_index=True)
