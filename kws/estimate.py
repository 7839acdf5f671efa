"""The accuracy of a head that was fitted to a few recordings, estimated from these recordings."""

from common.reporting import metrics
from kws.few import Chosen

_NOT_ESTIMATED = (
    "the accuracy cannot be estimated from one recording of each word, since leaving it out leaves nothing to learn the"
    " word from: record each word at least twice, better with several speakers"
)


def summary(chosen: Chosen) -> dict:
    """Describe how a head was chosen, and what its accuracy is estimated to be.

    Args:
        chosen: From `kws.few.choose`.

    Returns:
        `head`, `heads` with the accuracy and the log loss of each that was tried, `how`, what was left out (None if
        nothing could be), and then `accuracy`, its 95 % `accuracy_interval`, `num_examples` and `num_never_left_out`.
    """
    out = chosen.left_out
    found = {
        "head": chosen.name,
        "temperature": out.temperature,
        "how": out.how or None,
        "num_recordings": len(chosen.table),
    }
    if not out.how:
        return found
    right = int((out.scores.argmax(axis=1) == out.targets).sum())
    share = metrics.proportion(right, len(out.targets))
    return found | {
        "heads": {
            name: {"accuracy": one.accuracy, "cross_entropy": one.cross_entropy}
            for name, one in chosen.compared.items()
        },
        "accuracy": share["share"],
        "accuracy_interval": share["interval"],
        "num_examples": share["total"],
        "num_never_left_out": len(chosen.table) - share["total"],
        "interval": "95 %, Wilson, assuming independent clips; the head was chosen on the same clips",
    }


def format_lines(figures: dict) -> list[str]:
    """Format the estimate for the console; no lines for a run whose head was trained.

    Args:
        figures: The metrics of a run; the estimate is `estimate`.
    """
    found = figures.get("estimate")
    if not found:
        return []
    if not found["how"]:
        return [f"head {found['head']}", _NOT_ESTIMATED]
    tried = ", ".join(f"{name} {one['accuracy']:.1%}" for name, one in found["heads"].items() if name != found["head"])
    lines = [f"head {found['head']}" + (f"; the others: {tried}" if tried else "")]
    if figures["protocol"]["split"] == found["how"]:
        lines.append(f"the accuracy is estimated from the recordings that train: {found['how']}")
    else:
        low, high = found["accuracy_interval"]
        share = f"{found['accuracy']:.1%}  (95 % interval {low:.1%} to {high:.1%}, {found['num_examples']} recordings)"
        lines.append(f"estimated from the recordings that train, {found['how']}: accuracy {share}")
    if found["num_never_left_out"]:
        lines.append(
            f"{found['num_never_left_out']} recordings were never left out: synthetic ones, and those that alone have a word"
        )
    return lines
