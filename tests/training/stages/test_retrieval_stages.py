"""From held-out passages to what a joint model is asked: blocks, their speech, their units, and a matrix of each."""

import json

import evaluate
import pytest
from tiny_joint_model import save_joint_model
from transformers import AutoModelForCausalLM, AutoTokenizer

import evoslm
from evoslm.datasets_scripts.retrieval import read_block_contents
from evoslm.datasets_scripts.stories import generate_stories
from evoslm.datasets_scripts.synthesis.synthesizer import shared_synthesizer
from evoslm.datasets_scripts.text.passages import write_passages
from evoslm.models.scoring import score_blocks
from evoslm.models.speech_units import fit_units
from evoslm.models.tokenizers.joint import train_joint
from evoslm.training.run.execution import Execution
from evoslm.training.run.stage import Stage
from evoslm.training.stages.retrieval import BLOCKS_FOLDER, BlockSettings, build_block_units, build_blocks

NUM_UNITS = 30
SETTINGS = BlockSettings(2, 3, "many", "random", corpus_seed=0, max_skipped_fraction=0.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict:
    """The stages of text, of a quantizer, of blocks and of their units."""
    folder = tmp_path_factory.mktemp("run")
    names = {name: folder / name for name in ("text", "model", "blocks", "units")}
    passages = [passage for passage in generate_stories("simple", 8000, 0) if passage.split != "train"]
    Stage(names["text"], 1, {}).run(lambda partial: write_passages(passages, partial / "held_out.parquet"))
    audio = [shared_synthesizer().render(passage.text).audio for passage in passages[:4]]
    units = fit_units([(audio, None)], NUM_UNITS)
    Stage(names["model"], 1, {}).run(lambda partial: units.save_pretrained(partial))
    build_blocks(names["blocks"], names["text"], SETTINGS, Execution())
    build_block_units(names["units"], names["model"], names["blocks"], "fp32", Execution())
    return names


def test_a_joint_model_is_asked_about_blocks_of_a_run(folders, tmp_path):
    summary = json.loads((folders["blocks"] / "summary.json").read_text())
    assert summary["made"] == 2 and summary["rendering"] == {"blocks": 2, "rows": 6, "skipped": 0}
    rows = read_block_contents(folders["blocks"] / BLOCKS_FOLDER, folders["units"] / BLOCKS_FOLDER)
    assert len(rows) == 6 and all(row["context_units"] and row["continuation_units"] for row in rows)
    texts = [f"{row['context_text']} {row['continuation_text']}" for row in rows]
    contents = [
        row[part].replace("▪", " ").strip() for row in rows for part in ("context_units", "continuation_units")
    ]
    tokenizer = train_joint(texts, contents, NUM_UNITS, text_vocab_size=120, unit_vocab_size=None)
    folder = save_joint_model(tmp_path / "joint", tokenizer, max_positions=1024)
    result = evaluate.load(evoslm.metric_path("cra"), cache_dir=str(tmp_path / "cache")).compute(
        model_id=folder, blocks=rows, direction=["u2t", "t2u"], device="cpu"
    )
    assert (result["n"], result["n_blocks"], result["chance"]) == (12, 2, 1 / 3)
    model, loaded = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    u2u = score_blocks(model, loaded, rows, "u2u")
    assert [block["block"] for block in u2u] == list(dict.fromkeys(row["block"] for row in rows))
    expected = [row["continuation_units"].count("▪") for row in rows]
    assert [tokens for block in u2u for tokens in block["tokens"]] == expected


def test_other_settings_are_not_what_was_made(folders):
    build_blocks(folders["blocks"], folders["text"], SETTINGS, Execution())
    with pytest.raises(ValueError, match="block_size"):
        build_blocks(
            folders["blocks"], folders["text"], BlockSettings(**{**vars(SETTINGS), "block_size": 4}), Execution()
        )
