"""The CNN of the report, M5, BC-ResNet and the U-Net in idiomatic PyTorch, with weights copied from ours.

Written from the report and the papers. The axes of kernels are reversed relative to ours, so frequency comes before
time.
"""

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import torch
from torch import nn

from common.encoders.normalization import FusedBatchNormalization, SubSpectralNormalization

_NUM_BANDS = 5


class ReportCNN(nn.Module):
    """The 2-D CNN of the keyword spotting report: (batch, 44, 13) to logits."""

    def __init__(self, num_labels: int, dropout: float = 0.3):
        super().__init__()
        layers = []
        channels = 1
        # Padding that equals "same" on the maps of 11 x 42, 4 x 19 and 1 x 9.
        for filters, size, pool, padding in ((64, 3, 3, (1, 0)), (32, 3, 3, (0, 1)), (32, 2, 2, 0)):
            layers += [nn.Conv2d(channels, filters, size), nn.ReLU(), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)]
            layers += [nn.MaxPool2d(pool, 2, padding=padding, ceil_mode=True)]
            channels = filters
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(160, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, num_labels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = self.layers(features.mT.unsqueeze(1))
        # Frame by frame, as in ours, for the weights of the dense layer.
        return self.head(x.flatten(2).mT.flatten(1))


class M5(nn.Module):
    """Dai et al. (2016) with the widths of the speaker counting report: (batch, 16000) to logits."""

    def __init__(self, num_labels: int):
        super().__init__()
        layers = self._convolution(1, 32, 80, stride=16, padding=32)
        # Padding that equals "same" on maps of 1000, 250 and 63 steps.
        for channels, filters, padding in ((32, 32, 0), (32, 64, 1), (64, 128, 0)):
            layers += [nn.MaxPool1d(4, padding=padding, ceil_mode=True)]
            layers += self._convolution(channels, filters, 3, padding=1)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(128, num_labels)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(waveform.unsqueeze(1)).mean(2))

    @staticmethod
    def _convolution(channels: int, filters: int, size: int, **options) -> list[nn.Module]:
        convolution = nn.Conv1d(channels, filters, size, **options)
        return [convolution, nn.BatchNorm1d(filters, eps=1e-3, momentum=0.01), nn.ReLU()]


class BCResNet(nn.Module):
    """Kim et al. (2021): (batch, frames, 40) to logits."""

    def __init__(self, num_labels: int, tau: float = 1.0, dropout: float = 0.1):
        super().__init__()
        base = 8 * tau
        channels, last = int(2 * base), int(4 * base)
        first = nn.Conv2d(1, channels, 5, stride=(2, 1), padding=2, bias=False)
        layers = [first, nn.BatchNorm2d(channels), nn.ReLU()]
        for width, num_blocks, stride, dilation in ((1, 2, 1, 1), (1.5, 2, 2, 2), (2, 4, 2, 4), (2.5, 4, 1, 8)):
            for block in range(num_blocks):
                filters = int(width * base)
                layers.append(_Block(channels, filters, stride if block == 0 else 1, dilation, dropout))
                channels = filters
        layers += [nn.Conv2d(channels, channels, 5, padding=(0, 2), groups=channels, bias=False)]
        layers += [nn.Conv2d(channels, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(last, num_labels)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(spectrogram.mT.unsqueeze(1)).mean((2, 3)))


class _Block(nn.Module):
    """The sum of a convolution over frequency, a temporal branch that is broadcast over frequency, and the input."""

    def __init__(self, channels: int, filters: int, stride: int, dilation: int, dropout: float):
        super().__init__()
        self.transition = None
        if channels != filters:
            convolution = nn.Conv2d(channels, filters, 1, bias=False)
            self.transition = nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU())
        options = {"groups": filters, "bias": False}
        self.frequency = nn.Sequential(
            nn.Conv2d(filters, filters, (3, 1), stride=(stride, 1), padding=(1, 0), **options),
            _SubSpectralNorm(filters),
        )
        self.time = nn.Sequential(
            nn.Conv2d(filters, filters, (1, 3), padding=(0, dilation), dilation=(1, dilation), **options),
            nn.BatchNorm2d(filters),
            nn.SiLU(),
            nn.Conv2d(filters, filters, 1, bias=False),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.frequency(x if self.transition is None else self.transition(x))
        y = y + self.time(y.mean(2, keepdim=True))
        return torch.relu(y + x if self.transition is None else y)


class _SubSpectralNorm(nn.Module):
    """Batch normalisation of each of five frequency bands."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels * _NUM_BANDS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, bins, frames = x.shape
        bands = x.reshape(batch, channels * _NUM_BANDS, bins // _NUM_BANDS, frames)
        return self.norm(bands).reshape(x.shape)


class UNet(nn.Module):
    """Jansson et al. (2017): magnitudes (batch, frames, bins, 1) to masks before their sigmoid, of the same shape."""

    def __init__(self, depth: int = 5, width: int = 16, dropout: float = 0.5):
        super().__init__()
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = 1
        for level in range(depth):
            filters = width * 2**level
            layers = [nn.Conv2d(channels, filters, 5, 2), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)]
            self.down.append(nn.Sequential(*layers, nn.LeakyReLU(0.2)))
            channels = filters
        for level in reversed(range(1, depth)):
            filters = width * 2 ** (level - 1)
            incoming = channels if level == depth - 1 else 2 * channels
            layers = [_Doubled(incoming, filters), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01), nn.ReLU()]
            self.up.append(nn.Sequential(*layers, nn.Dropout(dropout if level >= depth - 3 else 0.0)))
            channels = filters
        self.head = _Doubled(2 * channels, 1)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        x, skips = magnitudes.permute(0, 3, 2, 1), []
        for layers in self.down:
            # Padding that equals "same" for strides of 2: one before, two after.
            x = layers(nn.functional.pad(x, (1, 2, 1, 2)))
            skips.append(x)
        skips.pop()
        for layers in self.up:
            x = torch.cat([layers(x), skips.pop()], dim=1)
        return self.head(x).permute(0, 3, 2, 1)


class _Doubled(nn.ConvTranspose2d):
    """A transposed convolution with stride 2 and "same" padding."""

    def __init__(self, channels: int, filters: int):
        super().__init__(channels, filters, 5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[..., 1:-2, 1:-2]


def copy_weights(model: keras.Model, net: nn.Module) -> None:
    """Copy the weights of the corresponding Keras model to a network of this module.

    Raises:
        ValueError: The layers differ.
    """
    ours = [layer for layer in model.layers if layer.trainable_weights]
    theirs = [module for module in net.modules() if next(module.parameters(recurse=False), None) is not None]
    for layer, module in zip(ours, theirs, strict=True):
        weights = layer.get_weights()
        targets = [*module.parameters(recurse=False)]
        if isinstance(layer, SubSpectralNormalization):
            # In ours, the channels of a band are adjacent, in PyTorch the bands of a channel.
            weights = [weight.reshape(_NUM_BANDS, -1).T.ravel() for weight in weights]
        if isinstance(layer, FusedBatchNormalization | SubSpectralNormalization):
            targets += [module.running_mean, module.running_var]
        for weight, target in zip(weights, targets, strict=True):
            # Ours reshapes 16 samples to channels before the first convolution of M5, in the same order.
            array = np.ascontiguousarray(weight.reshape(tuple(target.shape)[::-1]).T)
            with torch.no_grad():
                target.copy_(torch.from_numpy(array))
