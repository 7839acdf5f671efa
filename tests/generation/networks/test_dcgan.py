from generation.config import VARIANTS
from generation.networks import dcgan


def conv(inputs, outputs):
    return 16 * inputs * outputs + outputs


def test_the_generator_is_the_reports():
    """4×4 kernels 100 → 512 → 256 → 128 → 1, normalised after the first two: counted by hand."""
    normalised = 4 * (512 + 256)
    expected = conv(100, 512) + conv(512, 256) + conv(256, 128) + conv(128, 1) + normalised
    network = dcgan.generator(VARIANTS["report"])
    assert network.count_params() == expected
    assert network.output_shape == (None, 32, 32, 1)


def test_the_discriminator_is_the_reports():
    expected = conv(1, 64) + conv(64, 128) + conv(128, 256) + conv(256, 1) + 4 * (128 + 256)
    assert dcgan.discriminator(VARIANTS["report"]).count_params() == expected
    assert dcgan.discriminator(VARIANTS["report"]).input_shape == (None, 662, 64, 1)
    assert dcgan.discriminator(VARIANTS["report-reduced"]).input_shape == (None, 32, 32, 1)
