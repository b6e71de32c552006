"""A folder of the ZeroSpeech 2021 layout with a few spoken words, pseudo-words and sentences, as others record them:
22,050 Hz, one file in stereo, ARPAbet without stress in gold.csv.
"""

import csv
from pathlib import Path

import numpy as np
import soundfile
import soxr

from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer

VOICES = ("male-1", "female-1")
# word, pseudo-word, their phones, how often the word occurs in the challenge's corpus
WORDS = (
    ("river", "riber", "R IH V ER", "R IH B ER", 0),
    ("garden", "gardel", "G AA R D AH N", "G AA R D AH L", 5),
    ("sailor", "failor", "S EY L ER", "F EY L ER", 150),
)
SENTENCES = (
    ("agreement", "plural", "The dogs bark.", "The dogs barks."),
    ("agreement", "reflexive", "The girls hurt themselves.", "The girls hurt herself."),
    ("filler_gap", "wh", "He knows what she saw.", "He knows that she saw."),
)


def make_layout(folder: Path, split: str = "dev", spelled: bool = True) -> Path:
    """Write `lexical` and `syntactic` of one split, with pseudo-words that are spelled or not."""
    synthesizer = EspeakSynthesizer()
    lexical, syntactic = [], []
    for index, (word, pseudo_word, *phones, frequency) in enumerate(WORDS):
        for voice in VOICES:
            for text, symbols, correct in ((word, phones[0], 1), (pseudo_word, phones[1], 0)):
                row = {"id": index, "filename": f"{voice[0]}{text}", "voice": voice, "frequency": frequency}
                row |= {"word": text if correct or spelled else "", "phones": symbols.lower()}
                lexical.append(row | {"length": len(symbols.split()), "correct": correct})
    for index, (kind, subtype, *sentences) in enumerate(SENTENCES):
        for voice in VOICES:
            for text, correct in zip(sentences, (1, 0)):
                row = {"id": index, "filename": f"{voice[0]}{index}{correct}", "voice": voice, "type": kind}
                syntactic.append(row | {"subtype": subtype, "correct": correct, "transcription": text})
    for task, rows, column in (("lexical", lexical, None), ("syntactic", syntactic, "transcription")):
        target = folder / task / split
        target.mkdir(parents=True)
        for row in rows:
            text = row[column] if column else row["filename"][1:]
            audio = synthesizer.render(text, row["voice"]).audio.astype(np.float32) / 2**15
            audio = soxr.resample(audio, 16_000, 22_050)
            if row is rows[0]:
                audio = np.stack([audio, audio], axis=1)
            soundfile.write(target / f"{row['filename']}.wav", audio, 22_050)
        write_gold(target / "gold.csv", rows)
    return folder


BABY_WORDS = (("hello", ("lello", "pello")), ("cookie", ("kootie", "koonie", "roodie")))


def make_babyslm_layout(folder: Path, split: str = "dev") -> Path:
    """Write both tasks as BabySLM has them: a word has several pseudo-words, and one recording a voice."""
    target, synthesizer, rows, pair = folder / "lexical" / split, EspeakSynthesizer(), [], 0
    target.mkdir(parents=True)
    for word, pseudo_words in BABY_WORDS:
        for pseudo_word in pseudo_words:
            for voice in VOICES:
                for text, correct in ((word, 1), (pseudo_word, 0)):
                    row = {"filename": f"{text}-{voice}", "id": pair, "voice": voice, "frequency": 7, "word": text}
                    rows.append(row | {"phones": "", "length": len(text), "correct": correct})
            pair += 1
    for name, voice in {(row["filename"], row["voice"]) for row in rows}:
        audio = synthesizer.render(name.partition("-")[0], voice).audio
        soundfile.write(target / f"{name}.wav", audio, 16_000)
    write_gold(target / "gold.csv", rows)
    sentences = [("The good mom.", 1), ("The mom good.", 0)]
    syntactic = folder / "syntactic" / split
    syntactic.mkdir(parents=True)
    rows = []
    for voice in VOICES:
        for text, correct in sentences:
            name = f"{text[:-1].replace(' ', '_')}_{voice}"
            soundfile.write(syntactic / f"{name}.wav", synthesizer.render(text, voice).audio, 16_000)
            row = {
                "id": 0,
                "filename": name,
                "voice": voice,
                "type": "order",
                "subtype": "adjective",
                "correct": correct,
            }
            rows.append(row | {"transcription": text})
    write_gold(syntactic / "gold.csv", rows)
    return folder


def write_gold(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_gold_rows(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
