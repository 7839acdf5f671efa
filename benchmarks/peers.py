"""The report's CNN, M5 and BC-ResNet in PyTorch, as one writes them there, and their weights copied from ours.

Own code, from the papers and the report, in PyTorch's layout: channels before frequency and time.
"""

from collections.abc import Iterator

import keras
import numpy as np
import torch
from torch import nn

from common.encoders.normalization import FusedBatchNormalization, SubSpectralNormalization

_NUM_BANDS = 5


class ReportCNN(nn.Module):
    """The two-dimensional CNN of the keyword spotting report: (batch, 44, 13) to logits."""

    def __init__(self, num_labels: int, dropout: float = 0.3):
        super().__init__()
        layers = []
        channels = 1
        # Padding that equals "same" on the maps of 42 x 11, 19 x 4 and 9 x 1.
        for filters, size, pool, padding in ((64, 3, 3, (0, 1)), (32, 3, 3, (1, 0)), (32, 2, 2, 0)):
            layers += [nn.Conv2d(channels, filters, size), nn.ReLU(), nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)]
            layers += [nn.MaxPool2d(pool, 2, padding=padding, ceil_mode=True)]
            channels = filters
        head = [nn.Flatten(), nn.Linear(160, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, num_labels)]
        self.layers = nn.Sequential(*layers, *head)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features.unsqueeze(1))

    def copy_weights(self, model: keras.Model) -> None:
        """Take the weights of a Keras model that ends in `report_cnn` and a dense layer."""
        pairs = list(_pairs(model, self))
        for layer, module in pairs:
            _copy(layer, module, (3, 2, 0, 1))
        dense, module = pairs[-2]
        # Flattened, our map of 5 x 32 is written a frame after the other, theirs a channel after the other.
        _set(module.weight, dense.kernel.numpy().reshape(5, 32, 64).transpose(2, 1, 0).reshape(64, 160))


class M5(nn.Module):
    """Dai et al. (2016) in the widths of the speaker counting report: (batch, 16000) to logits."""

    def __init__(self, num_labels: int):
        super().__init__()
        layers = _m5_convolution(1, 32, 80, stride=16, padding=32)
        # Padding that equals "same" on maps of 1000, 250 and 63 steps.
        for channels, filters, padding in ((32, 32, 0), (32, 64, 1), (64, 128, 0)):
            layers += [nn.MaxPool1d(4, padding=padding, ceil_mode=True), *_m5_convolution(channels, filters, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(128, num_labels)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(waveform.unsqueeze(1)).mean(2))

    def copy_weights(self, model: keras.Model) -> None:
        """Take the weights of a Keras model that ends in `m5` and a dense layer."""
        for layer, module in _pairs(model, self):
            _copy(layer, module, (2, 1, 0))


class BCResNet(nn.Module):
    """Kim et al. (2021): (batch, frames, 40) to logits."""

    def __init__(self, num_labels: int, tau: float = 1.0, dropout: float = 0.1):
        super().__init__()
        base = 8 * tau
        channels = int(2 * base)
        self.first = nn.Sequential(
            nn.Conv2d(1, channels, 5, stride=(2, 1), padding=2, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        blocks = []
        for width, num_blocks, stride, dilation in ((1, 2, 1, 1), (1.5, 2, 2, 2), (2, 4, 2, 4), (2.5, 4, 1, 8)):
            for block in range(num_blocks):
                filters = int(width * base)
                blocks.append(_Block(channels, filters, stride if block == 0 else 1, dilation, dropout))
                channels = filters
        self.blocks = nn.Sequential(*blocks)
        last = int(4 * base)
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, 5, padding=(0, 2), groups=channels, bias=False),
            nn.Conv2d(channels, last, 1, bias=False),
            nn.BatchNorm2d(last),
            nn.ReLU(),
        )
        self.head = nn.Linear(last, num_labels)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        x = spectrogram.transpose(1, 2).unsqueeze(1)
        return self.head(self.last(self.blocks(self.first(x))).mean((2, 3)))

    def copy_weights(self, model: keras.Model) -> None:
        """Take the weights of a Keras model that ends in `bc_resnet` and a dense layer."""
        for layer, module in _pairs(model, self):
            _copy(layer, module, (3, 2, 1, 0))


class _Block(nn.Module):
    """A convolution over frequency, a temporal branch that all frequencies share, and the input."""

    def __init__(self, channels: int, filters: int, stride: int, dilation: int, dropout: float):
        super().__init__()
        self.is_transition = channels != filters
        if self.is_transition:
            self.transition = nn.Sequential(
                nn.Conv2d(channels, filters, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()
            )
        self.frequency = nn.Sequential(
            nn.Conv2d(filters, filters, (3, 1), stride=(stride, 1), padding=(1, 0), groups=filters, bias=False),
            _SubSpectralNorm(filters),
        )
        padding, dilation = (0, dilation), (1, dilation)
        self.time = nn.Sequential(
            nn.Conv2d(filters, filters, (1, 3), padding=padding, dilation=dilation, groups=filters, bias=False),
            nn.BatchNorm2d(filters),
            nn.SiLU(),
            nn.Conv2d(filters, filters, 1, bias=False),
            nn.Dropout2d(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.frequency(self.transition(x) if self.is_transition else x)
        y = y + self.time(y.mean(2, keepdim=True))
        return torch.relu(y if self.is_transition else y + x)


class _SubSpectralNorm(nn.Module):
    """Batch normalisation of each of five bands of frequencies."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels * _NUM_BANDS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, bins, frames = x.shape
        bands = x.reshape(batch, channels * _NUM_BANDS, bins // _NUM_BANDS, frames)
        return self.norm(bands).reshape(x.shape)


def _m5_convolution(channels: int, filters: int, size: int, **options) -> list[nn.Module]:
    return [
        nn.Conv1d(channels, filters, size, **options),
        nn.BatchNorm1d(filters, eps=1e-3, momentum=0.01),
        nn.ReLU(),
    ]


def _pairs(model: keras.Model, module: nn.Module) -> Iterator[tuple[keras.layers.Layer, nn.Module]]:
    """Pair the layers that have weights, in the order of the forward pass."""
    ours = [layer for layer in model.layers if layer.trainable_weights]
    theirs = [part for part in module.modules() if next(part.parameters(recurse=False), None) is not None]
    return zip(ours, theirs, strict=True)


def _copy(layer: keras.layers.Layer, module: nn.Module, axes: tuple[int, ...]) -> None:
    """Copy the weights of one layer; `axes` is where PyTorch has the axes of our kernels."""
    if isinstance(layer, SubSpectralNormalization):
        bands = [weight.numpy().reshape(_NUM_BANDS, -1).T.ravel() for weight in layer.weights]
        _copy_normalization(bands, module)
    elif isinstance(layer, FusedBatchNormalization):
        _copy_normalization(layer.get_weights(), module)
    else:
        kernel, *bias = layer.get_weights()
        if isinstance(module, nn.Linear):
            _set(module.weight, kernel.T)
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            _set(module.weight, kernel.transpose(2, 3, *axes[2:]) if False else kernel.transpose(2, 3, 1, 0))
        else:
            # Our first convolution of M5 reads sixteen samples as sixteen channels.
            _set(module.weight, kernel.reshape(-1, *module.weight.shape[1::-1]) .transpose(axes) if kernel.ndim == 3 else kernel.transpose(axes))
        if bias:
            _set(module.bias, bias[0])


def _copy_normalization(weights: list[np.ndarray], module: nn.Module) -> None:
    targets = (module.weight, module.bias, module.running_mean, module.running_var)
    for target, weight in zip(targets, weights, strict=True):
        _set(target, weight)


def _set(target: torch.Tensor, value: np.ndarray) -> None:
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(value)).reshape(target.shape) if target.shape == value.shape else _refuse(target, value))


def _refuse(target, value):
    raise ValueError(f"expected a weight of shape {tuple(target.shape)}, got {value.shape}")
