"""Code shared by the four tasks: audio, features, corpora, training and export."""

# Other projects have packages called `common`; this marks ours.
IS_QUARTET = True
