"""What the four tasks share: audio, features, corpora, training and export."""
