"""Synthetic music: instruments, a singing voice, and songs."""
