"""The pairs of networks: a generator and a discriminator each."""
