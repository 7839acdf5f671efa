"""Decoded recordings, stored on disk and memory-mapped, and batches of them."""
