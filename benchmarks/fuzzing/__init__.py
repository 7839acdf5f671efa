"""Hostile input: good files, ways to damage them, and every reader of the toolkit to give them to."""
