"""The modalities by name: each is one alphabet for the same utterances, and one step on the way from text to speech.

utterance -> content (one string a modality) -> ids. A new modality is one builder file, one tokenizer file and one
entry here.
"""

from dataclasses import dataclass

from .audio import FRAME_RATE


@dataclass(frozen=True)
class Modality:
    """
    One alphabet for utterances.

    Args:
        name (`str`): The name in commands, folders and dataset configurations.
        label (`str`): The name in tables and figures.
        column (`str`): Which form of a minimal pair it reads: `"text"`, `"phones"`, `"phones_stretch"`,
            `"phones_repeat"` or `"units"`.
        tokenizer (`str`): How content becomes ids: `"text_bpe"`, `"text_raw"`, `"text_raw_no_space"`,
            `"phone_bpe"`, `"phone_raw"`, `"units"`, `"units_bpe"`.
        vocabulary (`str`): What its vocabulary is, in words.
        factor (`str`): What it adds to the modality before it (2412.17048, Table 2).
        paper (`bool`): Whether it is one of the six of the paper.
        voices (`str`, *optional*): `"one"` or `"many"` where it is always read from the rendering in one voice, or in
            many; `None` for the speech of the run.
        frame_rate (`float`, *optional*): Symbols per second where that is fixed.
        unit_of (`str`, *optional*, defaults to `"frame"`): What a speech unit describes, one of [`UNIT_KINDS`].
    """

    name: str
    label: str
    column: str
    tokenizer: str
    vocabulary: str
    factor: str
    paper: bool = True
    voices: str | None = None
    frame_rate: float | None = None
    unit_of: str = "frame"

    @property
    def is_speech(self) -> bool:
        """Whether its content is made of the units of an encoder."""
        return self.column == "units"

    @property
    def repeats_tokens(self) -> bool:
        """Whether a sound is several equal tokens: one a frame, or as many as make all of them longer."""
        return self.frame_rate is not None or self.column == "phones_stretch"


UNIT_KINDS = {
    "frame": "frames",
    "syllable": "aligned syllables",
    "syllable_unsupervised": "syllables found in the sound",
    "duration_penalized": "frames, duration-penalised",
}
"""What a speech unit describes: the name in folders, and in words."""
SYLLABLES = ("syllable", "syllable_unsupervised")
"""The kinds of units that are of syllables."""

MODALITIES = {
    modality.name: modality
    for modality in (
        Modality("text_bpe", "Text-BPE", "text", "text_bpe", "SentencePiece BPE", "topline"),
        Modality("text_raw", "Text-Raw", "text", "text_raw", "characters", ""),
        Modality(
            "text_raw_no_space",
            "Text-Raw, no spaces",
            "text",
            "text_raw_no_space",
            "letters",
            "word boundaries",
            paper=False,
        ),
        Modality("phone_bpe", "Phone-BPE", "phones", "phone_bpe", "BPE over phones", "+A"),
        Modality("phone_raw", "Phone-Raw", "phones", "phone_raw", "phones", "+A"),
        Modality("phone_stretch", "Phone-Stretch", "phones_stretch", "phone_raw", "phones", "+B, length", paper=False),
        Modality("phone_repeat", "Phone-Repeat", "phones_repeat", "phone_raw", "phones", "+B", frame_rate=FRAME_RATE),
        Modality(
            "speech_units_one_voice",
            "Speech-{encoder}, one voice",
            "units",
            "units",
            "units",
            "+C, acoustic variability",
            paper=False,
            voices="one",
            frame_rate=FRAME_RATE,
        ),
        Modality("speech_units", "Speech-{encoder}", "units", "units", "units", "+C", frame_rate=FRAME_RATE),
        Modality(
            "speech_units_synthetic",
            "Speech-{encoder}, synthetic voices",
            "units",
            "units",
            "units",
            "voices of the pairs",
            paper=False,
            voices="many",
            frame_rate=FRAME_RATE,
        ),
        Modality("speech_dedup", "Speech-Dedup", "units", "units", "units", "answer to B", paper=False),
        Modality("speech_bpe", "Speech-BPE", "units", "units_bpe", "BPE over units", "answer to B", paper=False),
        Modality(
            "speech_syllable",
            "Speech-Syllable",
            "units",
            "units",
            "units of syllables",
            "answer to B",
            paper=False,
            unit_of="syllable",
        ),
        Modality(
            "speech_syllable_unsupervised",
            "Speech-Syllable, unsupervised",
            "units",
            "units",
            "units of syllables",
            "boundaries found",
            paper=False,
            unit_of="syllable_unsupervised",
        ),
        Modality(
            "speech_duration_penalized",
            "Speech-Duration-Penalized",
            "units",
            "units",
            "units",
            "answer to B",
            paper=False,
            unit_of="duration_penalized",
        ),
    )
}


JOINT = Modality("joint", "Joint", "text", "joint", "pieces of text and of units", "both", paper=False)
"""Speech units and text in one sequence (2310.08715). It is no step of the chain from text to speech."""

RECORDINGS_MODALITY, SYNTHETIC_MODALITY = "speech_units", "speech_units_synthetic"
"""Of a run on recordings: trained on them, and on synthetic speech of their transcripts."""


def get_modality(name: str) -> Modality:
    """
    Look a modality up by its name.

    Raises:
        `ValueError`: If there is none of that name.
    """
    if name not in MODALITIES:
        raise ValueError(f"Unknown modality {name!r}; choose from {', '.join(MODALITIES)}.")
    return MODALITIES[name]
