"""Measurements beside other implementations, in one run."""
