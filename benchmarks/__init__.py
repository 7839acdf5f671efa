"""Benchmarks, comparisons with other implementations, and stress tests."""

import os

# As commands load TensorFlow, see `common.startup`; before anything here imports it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
