"""Synthetic speech and music."""
