"""Music generation: new audio in the texture of a genre, learnt from a few recordings."""

from common import quiet as quiet  # first of all: it imports TensorFlow without its notes
