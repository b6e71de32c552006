"""The speakers of the synthesizer, and who speaks which utterance how.

utterance id -> [`speaker_settings`] -> voice, pitch and rate; [`Voice`] -> `definition`, a variant file for espeak-ng.
All voices use one Klatt synthesizer, in which timbre and pitch leave every duration as it is: at the same rate a text
has the same phone times in every voice, to the sample.
"""

import random
from dataclasses import dataclass

FIXED_RATE = 175
RATE_RANGE = (140, 210)
RATES = ("fixed", "random")


@dataclass(frozen=True)
class Voice:
    """
    One speaker.

    Args:
        name (`str`): The `speaker` of an utterance.
        formants (`tuple[int, int, int]`, *optional*): First, second and all higher formants, in per cent of the adult
            man's of the base voice; a shorter vocal tract has higher ones.
        pitch (`tuple[int, int]`, *optional*): Bottom and top of the intonation in Hz.
        pitch_settings (`tuple[int, int]`, *optional*): What the base pitch of an utterance is drawn from: 50 is
            `pitch` itself, 0 an octave below, 100 an octave above.
        bandwidth (`int`, *optional*): Width of the formants in per cent: narrow ones ring, wide ones sound dull.
        voicing (`int`, *optional*): Strength of voicing; 64 is normal.
        breath (`int`, *optional*): Aspiration noise in voiced sounds, 0 to 64.
        consonants (`int`, *optional*): Strength of noise bursts and frication in per cent.
    """

    name: str
    formants: tuple[int, int, int] = (100, 100, 100)
    pitch: tuple[int, int] = (82, 118)
    pitch_settings: tuple[int, int] = (35, 65)
    bandwidth: int = 100
    voicing: int = 64
    breath: int = 0
    consonants: int = 100

    @property
    def definition(self) -> str:
        """The voice in espeak-ng's file format."""
        first, second, higher = self.formants
        scales = (first, second, higher, higher, higher, higher)
        lines = [
            "language variant",
            f"name {self.name}",
            "klatt 6",
            # Both go on from where the utterance before stopped, and would make a rendering depend on it.
            "flutter 0",
            "roughness 0",
            f"pitch {self.pitch[0]} {self.pitch[1]}",
            f"voicing {self.voicing}",
            f"breath {self.breath}",
            f"consonants {self.consonants} {self.consonants}",
            *(f"formant {i} {scale} 100 {self.bandwidth}" for i, scale in enumerate(scales, start=1)),
        ]
        return "\n".join(lines) + "\n"


BASE_VOICE = Voice("base", pitch_settings=(50, 50))

# Formants and pitch range over what men, women and children of about eight have.
VOICES = {
    "one": (BASE_VOICE,),
    "many": (
        Voice("male-1", (100, 100, 100), (82, 118)),
        Voice("male-2", (91, 88, 90), (70, 98), bandwidth=90, consonants=90),
        Voice("male-3", (95, 102, 97), (92, 140), breath=10),
        Voice("male-4", (103, 94, 95), (78, 104), bandwidth=125, voicing=72),
        Voice("male-5", (106, 104, 101), (104, 150), bandwidth=85, voicing=56, consonants=115),
        Voice("male-6", (97, 92, 99), (88, 116), breath=18, voicing=58, consonants=80),
        Voice("male-7", (93, 97, 92), (74, 120), bandwidth=110, consonants=120),
        Voice("male-8", (104, 99, 105), (112, 164), breath=6, voicing=68),
        Voice("male-9", (98, 106, 96), (96, 126), bandwidth=130, breath=12),
        Voice("male-10", (89, 93, 94), (66, 90), voicing=74, consonants=105),
        Voice("female-1", (112, 116, 115), (158, 236)),
        Voice("female-2", (108, 112, 118), (142, 196), bandwidth=85, breath=14),
        Voice("female-3", (117, 114, 112), (176, 262), voicing=56, consonants=110),
        Voice("female-4", (114, 121, 117), (188, 270), bandwidth=120, breath=8),
        Voice("female-5", (106, 117, 111), (150, 226), voicing=70, consonants=85),
        Voice("female-6", (119, 118, 121), (200, 300), bandwidth=95, breath=20, voicing=58),
        Voice("female-7", (110, 109, 114), (134, 180), bandwidth=115, consonants=120),
        Voice("female-8", (116, 123, 113), (170, 238), breath=4, voicing=60, consonants=95),
        Voice("female-9", (121, 115, 119), (184, 246), bandwidth=105, voicing=66),
        Voice("female-10", (109, 119, 120), (164, 220), bandwidth=130, breath=16, consonants=105),
        Voice("child-1", (124, 128, 127), (232, 330)),
        Voice("child-2", (129, 124, 131), (250, 340), bandwidth=120, breath=10, consonants=110),
        Voice("child-3", (122, 132, 125), (218, 320), bandwidth=90, voicing=58, consonants=90),
        Voice("child-4", (133, 129, 134), (264, 372), breath=6, voicing=56),
    ),
    # No corpus has these: they speak what a model is tested on. They lie among the many, and none is one of them.
    "held_out": (
        Voice("held-out-male-1", (99, 98, 103), (86, 126), bandwidth=105, breath=4, consonants=95),
        Voice("held-out-male-2", (94, 100, 94), (78, 112), bandwidth=95, voicing=70),
        Voice("held-out-male-3", (102, 89, 97), (100, 146), bandwidth=115, breath=14, voicing=60),
        Voice("held-out-female-1", (113, 119, 114), (172, 250), bandwidth=90, consonants=90),
        Voice("held-out-female-2", (107, 113, 116), (146, 206), bandwidth=110, breath=12),
        Voice("held-out-female-3", (118, 121, 118), (192, 282), voicing=62, consonants=115),
        Voice("held-out-child-1", (126, 126, 129), (240, 336), bandwidth=105, breath=8),
        Voice("held-out-child-2", (130, 131, 127), (226, 328), bandwidth=115, voicing=58),
    ),
}
VOICES_BY_NAME = {voice.name: voice for voices in VOICES.values() for voice in voices}


@dataclass(frozen=True)
class SpeakerSettings:
    """
    How one utterance is spoken.

    Args:
        voice (`str`): Name of a [`Voice`].
        pitch (`int`): Base pitch, 0 to 99; 50 is the voice's own.
        rate (`int`): Words per minute.
    """

    voice: str
    pitch: int
    rate: int


def speaker_settings(utterance_id: str, voices: str = "one", rate: str = "fixed", seed: int = 0) -> SpeakerSettings:
    """
    Draw voice, pitch and rate of an utterance. They depend on the arguments and on nothing else, and the rate does not
    depend on `voices`, so that the same utterance has the same times in one voice and in many.

    Args:
        utterance_id (`str`): Id of the utterance.
        voices (`str`, *optional*, defaults to `"one"`): `"one"` for the base voice at its own pitch, `"many"` for one
            of the others at a random pitch, `"held_out"` for one that no corpus has.
        rate (`str`, *optional*, defaults to `"fixed"`): `"fixed"` for 175 words per minute, `"random"` for a whole
            number from 140 to 210.
        seed (`int`, *optional*, defaults to 0): Seed.

    Returns:
        [`SpeakerSettings`]

    Raises:
        `ValueError`: If there are no such voices or there is no such rate.
    """
    if voices not in VOICES:
        raise ValueError(f"Unknown voices {voices!r}; choose from {', '.join(VOICES)}.")
    words_per_minute = draw_rate(utterance_id, rate, seed)
    generator = random.Random(f"voice-{seed}-{utterance_id}")
    voice = generator.choice(VOICES[voices])
    return SpeakerSettings(voice.name, generator.randint(*voice.pitch_settings), words_per_minute)


def draw_rate(utterance_id: str, rate: str, seed: int) -> int:
    """Words per minute of an utterance, of any synthesizer, as [`speaker_settings`] says."""
    if rate not in RATES:
        raise ValueError(f"Unknown rate {rate!r}; choose from {', '.join(RATES)}.")
    if rate == "fixed":
        return FIXED_RATE
    return random.Random(f"rate-{seed}-{utterance_id}").randint(*RATE_RANGE)
