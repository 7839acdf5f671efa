"""Speaker counting: how many people speak at once, when, and of which sex."""

from common import startup as startup  # first of all: how TensorFlow is loaded
