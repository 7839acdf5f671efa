"""Keyword spotting: which of a few words was spoken."""
