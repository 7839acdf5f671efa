"""Synthetic speech: espeak-ng, pronunciations and audio effects."""
