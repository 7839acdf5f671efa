"""Source separation: the sources of a mixture, each as a waveform of its own."""

from common import startup as startup  # first of all: how TensorFlow is loaded
