"""Keyword spotting: which of a few words was spoken."""

from common import quiet as quiet  # first of all: it imports TensorFlow without its notes
