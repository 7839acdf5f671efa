"""What people look at: metrics, plots and TensorBoard."""
