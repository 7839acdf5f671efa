"""Speaker counting: how many people speak at once, when, and of which sex."""

from common import quiet as quiet  # first of all: it imports TensorFlow without its notes
