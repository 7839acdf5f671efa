"""Changes of training examples: of waveforms and of spectrograms."""
