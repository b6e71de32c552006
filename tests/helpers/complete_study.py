"""The tiny study with all that a release can have: joint models, adapters of one of them, and a transcriber.

a finished tiny study -> [`make_complete_study`] -> a copy, to which the project's own commands added the rest.
"""

import os
import shutil
from pathlib import Path

from tiny_slu import speak_tones, write_sentiment

from evoslm.datasets_scripts.slu import read_task
from evoslm.training.cli import main

JOINT = ("--models", "text", "cst_ast", "--epochs", "0.2", "--training_seeds", "0", "--num_blocks", "2")
JOINT += ("--block_size", "4", "--rule", "per_word", "--switch_probability", "0.5", "--num_proc", "1")
TRANSCRIBER = ("--hidden_size", "32", "--num_hidden_layers", "1", "--batch_size", "4", "--max_steps", "6")
TRANSCRIBER += ("--warmup_steps", "2", "--eval_steps", "3", "--device", "cpu", "--progress", "False")
FINETUNED = ("--epochs", "1", "--num_proc", "1")


def make_complete_study(finished: Path, folder: Path) -> Path:
    """
    Add to a copy of a finished study what is trained on one, and return the copy.

    Its fine-tunings are of a model that reads both, one by the text of the examples and one by tones in their place.
    """
    shutil.copytree(finished, folder, copy_function=os.link, dirs_exist_ok=True)
    assert main(["train-transcriber", str(folder), *TRANSCRIBER]) == 0
    assert main(["pretrain-joint", str(folder), *JOINT]) == 0
    base, made_of = folder / "joint" / "models" / "cst_ast" / "seed-0", folder.with_name(f"{folder.name}-task")
    made_of.mkdir()
    task = write_sentiment(made_of, 60)
    speech = ("--input", "speech", "--speech_dir", str(speak_tones(made_of / "spoken", read_task(str(task)))))
    speech += ("--quantizer", str(folder / "units" / "speech_units" / "model"))
    for read, flags in (("text", ()), ("speech", speech)):
        output = folder / "joint" / "slu" / "sentiment" / f"cst_ast-{read}"
        command = ["finetune", str(base), "--task", str(task), *flags, "--output_dir", str(output)]
        assert main([*command, *FINETUNED]) == 0
    return folder
