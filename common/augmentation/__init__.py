"""Augmentation of training examples: waveforms and spectrograms."""
