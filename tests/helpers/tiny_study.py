"""A study that is smaller still than the smoke preset, but has every stage and every modality: its flags, and its run.

[`make_tiny_study`] -> a finished run, which `conftest.py` makes once for all tests and processes.
"""

from pathlib import Path

from evoslm.training.cli import main

TINY = ("--preset", "smoke", "--max_words", "5000", "--pairs_per_task", "24", "--point_pairs", "8")
STUDY = (*TINY, "--modalities", "all", "--precision", "fp32")
"""Of a study of all modalities. Several processes add up in another order, and scores are compared to a few digits."""
FLAGS = (*STUDY, "--compare_seeds", "1")
"""Of the run that the tests share."""


def make_tiny_study(folder: Path) -> Path:
    """Run the study of all modalities in `folder`, or go on with it, and return the folder."""
    assert main(["study", *FLAGS, "--output_dir", str(folder)]) == 0
    return folder
