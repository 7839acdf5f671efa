from generation.config import VARIANTS
from generation.networks import specgan


def test_the_generator_has_the_published_parameters():
    """19.1 million: a dense layer to 4·4·1024 and five transposed 5×5 convolutions."""
    network = specgan.generator(VARIANTS["specgan"])
    channels = (1024, 512, 256, 128, 64, 1)
    dense = 100 * 16 * 1024 + 16 * 1024
    convolutions = sum(25 * a * b + b for a, b in zip(channels[:-1], channels[1:], strict=True))
    assert network.count_params() == dense + convolutions
    assert round(network.count_params() / 1e6, 1) == 19.1
    assert network.output_shape == (None, 128, 128, 1)


def test_the_discriminator_takes_the_same_pictures():
    assert specgan.discriminator(VARIANTS["specgan"]).input_shape == (None, 128, 128, 1)
