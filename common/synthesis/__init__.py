"""Speech and music that are made on the spot."""
