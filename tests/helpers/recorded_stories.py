"""Recordings that a test can make: stories read by one voice, with the TextGrids that a forced aligner would give."""

import csv
from pathlib import Path

import soundfile

from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.models.audio import SAMPLE_RATE

SPLITS = ("train", "train", "test", "train", "test", "validation", "train", "test")


def record_stories(folder: Path, num_words: int, readers: tuple[str, ...] = ("reader",)) -> list:
    """
    Write an audiofolder of stories and, below `grids`, a TextGrid of each.

    Returns:
        `list`: The stories, in the order of their files.
    """
    (folder / "audio").mkdir(parents=True)
    (folder / "grids").mkdir()
    synthesizer = EspeakSynthesizer()
    stories = list(generate_stories(num_words, seed=3))
    with (folder / "audio" / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "text", "speaker", "document", "split"])
        for index, story in enumerate(stories):
            name = f"story-{index:04d}"
            spoken = synthesizer.render(story.text, pitch=40, rate=190)
            soundfile.write(folder / "audio" / f"{name}.flac", spoken.audio, SAMPLE_RATE)
            (folder / "grids" / f"{name}.TextGrid").write_text(_textgrid(spoken), encoding="utf-8")
            speaker = readers[index % len(readers)]
            document = f"{story.topic}/{index}"
            writer.writerow([f"{name}.flac", story.text, speaker, document, SPLITS[index % len(SPLITS)]])
    return stories


def _textgrid(spoken) -> str:
    words = [(word["word"], word["start"], word["end"]) for word in spoken.words if word["end"] > word["start"]]
    phones = [(phone["phone"], phone["start"], phone["end"]) for phone in spoken.phones]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {spoken.duration}"]
    lines += ["tiers? <exists>", "size = 2", "item []:"]
    for number, (name, tier) in enumerate((("words", words), ("phones", phones)), 1):
        lines += [f"item [{number}]:", 'class = "IntervalTier"', f'name = "{name}"', "xmin = 0"]
        lines += [f"xmax = {spoken.duration}", f"intervals: size = {len(tier)}"]
        for index, (label, start, end) in enumerate(tier, 1):
            text = label.replace('"', '""')
            lines += [f"intervals [{index}]:", f"xmin = {start}", f"xmax = {end}", f'text = "{text}"']
    return "\n".join(lines) + "\n"
