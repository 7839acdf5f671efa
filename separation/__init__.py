"""Source separation: the sources of a mixture, each as a waveform of its own."""

from common import quiet as quiet  # first of all: it imports TensorFlow without its notes
