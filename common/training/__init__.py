"""Training: the loop, its callbacks, optimizers and precision."""
