"""Decoded recordings, kept on disk and mapped into memory, and batches of them."""
