"""What the four tasks share: audio, features, corpora, training and export."""

# Other projects have packages called `common`: by this the tasks know their own.
IS_QUARTET = True
