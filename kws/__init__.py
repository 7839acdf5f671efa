"""Keyword spotting: which of a few words was spoken."""

from common import startup as startup  # first of all: how TensorFlow is loaded
