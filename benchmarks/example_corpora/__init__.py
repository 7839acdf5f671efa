"""Corpora that take no time to make: what tests and benchmarks train on."""
