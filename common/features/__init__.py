"""Features: pure functions of waveforms (`spectral`), and Keras layers over them."""

from common.features.layers import MFCC as MFCC
from common.features.layers import FramedLayer as FramedLayer
from common.features.layers import GriffinLim as GriffinLim
from common.features.layers import InverseSpectrogram as InverseSpectrogram
from common.features.layers import LogMel as LogMel
from common.features.layers import MelLayer as MelLayer
from common.features.layers import Spectrogram as Spectrogram
from common.features.layers import in_type as in_type
