"""Reports: metrics, plots and TensorBoard."""
