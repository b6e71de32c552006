"""Speech for pipelines: prompts spoken as the utterances of a corpus are, and phones that a model wrote.

text -> normalised -> a synthesizer -> audio, words and phones; phones -> espeak -> audio and when each was spoken.
"""

import numpy as np

from ...models.audio import count_frames, frame_samples_at
from ...models.pipelines.synthesis import SpokenPhones, SpokenText
from ..phones.frames import phones_to_frames
from ..phones.syllables import syllable_frames
from ..text.normalization import normalize_text
from .by_name import ESPEAK, load_synthesizer
from .phone_speech import render_phones
from .synthesizer import EDGE_SILENCE, SENTENCE_PAUSE
from .voices import BASE_VOICE

_SENTENCE_ENDS = (".", "!", "?")


class PromptSynthesizer:
    """
    The speech synthesis of pipelines, a [`SpeechSynthesizer`].

    Args:
        name (`str`, *optional*, defaults to `"espeak"`): Who speaks texts, see [`load_synthesizer`]; phones are spoken
            by espeak in any case.
        speaker (`str`, *optional*): Name of a voice of the synthesizer; its first when not given.

    Raises:
        `ValueError`, `FileNotFoundError`: As [`load_synthesizer`], or if there is no such voice.
    """

    def __init__(self, name: str = ESPEAK, speaker: str | None = None):
        self._synthesizer = load_synthesizer(name)
        self._settings = self._synthesizer.speaker_settings("", "one", "fixed", 0)
        self.speaker = speaker or self._settings.voice
        self._synthesizer.check_delivery(self.speaker, self._settings.pitch, self._settings.rate)
        self._phone_voice = self.speaker if name == ESPEAK else BASE_VOICE.name

    def speak_text(self, text: str, is_prompt: bool = True) -> SpokenText:
        """As in [`SpeechSynthesizer`]."""
        leading = trailing = 0.0
        if is_prompt:
            text = normalize_text(text)
            leading, trailing = EDGE_SILENCE, SENTENCE_PAUSE if text.endswith(_SENTENCE_ENDS) else 0.0
        delivery = (self.speaker, self._settings.pitch, self._settings.rate)
        spoken = self._synthesizer.render(text, *delivery, leading, trailing)
        return SpokenText(spoken.audio, spoken.phones, text, spoken.words)

    def speak_phones(self, phones: list[str]) -> SpokenPhones:
        """As in [`SpeechSynthesizer`]."""
        rendering = render_phones(phones, self._phone_voice)
        return SpokenPhones(rendering.audio, rendering.phones)

    def write_frames(self, spoken: SpokenPhones, frame_rate: float) -> list[str]:
        """As in [`SpeechSynthesizer`]."""
        frame_samples = frame_samples_at(frame_rate)
        return phones_to_frames(spoken.phones, count_frames(len(spoken.audio), frame_samples), frame_samples)

    def syllable_frames(self, spoken: SpokenPhones, frame_rate: float) -> np.ndarray:
        """As in [`SpeechSynthesizer`]."""
        return syllable_frames(self.write_frames(spoken, frame_rate))
