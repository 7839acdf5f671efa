"""Network architectures; each module has a generator and a discriminator."""
