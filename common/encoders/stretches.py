"""The pretrained speech embedding on long recordings, whose clips share its windows.

Clips that overlap need the same windows, one every 80 ms. A clip alone is surrounded by silence; in a recording, by what
is recorded there. On clips of Speech Commands this makes no difference to the accuracy; see kws/RESULTS.md.
"""

import keras
import numpy as np

from common.audio.sliding import BATCH_SIZE, Stretch
from common.encoders import speech_embedding
from common.features import choices


def of_model(model: keras.Model, num_samples: int) -> Stretch | None:
    """Return what computes the outputs of clips that overlap, for a model on the speech embedding; else None.

    Args:
        model: From waveforms `(batch, num_samples)` to outputs `(batch, labels)`.
        num_samples: Length of a clip.
    """
    names = [layer.name for layer in model.layers]
    if speech_embedding.NETWORK not in names:
        return None
    waveform = keras.Input((None,), name="waveform")
    front = choices.speech_frames()
    log_power = front(waveform)
    network = speech_embedding.network(log_power.shape[1:], of_stream=True)
    network.set_weights(model.get_layer(speech_embedding.NETWORK).get_weights())
    embed = keras.Model(waveform, network(log_power))
    windows = model.get_layer(speech_embedding.WINDOWS).output
    head = keras.Model(windows, model.output)
    of_clip = np.arange(windows.shape[1])
    grid = speech_embedding.HOP_FRAMES * front.hop_length
    last_frame = of_clip[-1] * speech_embedding.HOP_FRAMES + speech_embedding.WINDOW_FRAMES - 1
    length = last_frame * front.hop_length + front.n_fft
    before = choices.SPEECH_PADDING

    def run(recording: np.ndarray, hop: int) -> np.ndarray:
        number = (len(recording) - length) // hop + 1
        # Only two shapes, since each is compiled.
        filled = 1 if number == 1 else BATCH_SIZE
        recording = np.pad(recording, (0, (filled - number) * hop))
        found = embed.predict_on_batch(recording[np.newaxis])[0]
        clips = found[hop // grid * np.arange(filled)[:, np.newaxis] + of_clip]
        return head.predict_on_batch(clips)[:number]

    return Stretch(run, grid, before, int(length - before - num_samples))
