"""Several devices, workers and machines."""
