"""Read and write audio files of any format, sample rate and channel count as float32 waveforms.

Only `tfio` needs TensorFlow.
"""

from common.audio.reader import AudioInfo as AudioInfo
from common.audio.reader import check_excerpt as check_excerpt
from common.audio.reader import conform as conform
from common.audio.reader import info as info
from common.audio.reader import no_samples as no_samples
from common.audio.reader import read as read
from common.audio.reader import to_mono as to_mono
from common.audio.sources import AudioSource as AudioSource
from common.audio.waveform import PCM16_SCALE as PCM16_SCALE
from common.audio.waveform import at_peak as at_peak
from common.audio.waveform import fit_length as fit_length
from common.audio.waveform import from_pcm16 as from_pcm16
from common.audio.waveform import is_silent as is_silent
from common.audio.waveform import loudest_excerpt as loudest_excerpt
from common.audio.waveform import resample as resample
from common.audio.waveform import to_pcm16 as to_pcm16
from common.audio.writer import write as write
