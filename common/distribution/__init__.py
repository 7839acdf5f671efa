"""Several devices, workers and machines."""

# What `--strategy` can be; see `common.distribution.strategy`.
STRATEGIES = ("auto", "single", "mirrored", "multiworker")
