"""Music generation: new audio in the texture of a genre, learnt from a few recordings."""

from common import startup as startup  # first of all: how TensorFlow is loaded
