"""What was fine-tuned is released with its base's id on the Hub in the place of a folder."""

import json

import pytest
import torch
from peft import PeftModel
from tiny_slu import make_model, sentiment_rows, write_sentiment
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from evoslm.models.slu.adapters import load_finetuned
from evoslm.training.cli import main
from evoslm.training.release import ReleaseNames, ReleaseRepository
from evoslm.training.release.files import check_prepared
from evoslm.training.release.models.adapters import prepare_adapters
from evoslm.training.release.models.ties import UnitTies

NAMES = ReleaseNames("user", "tiny")


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetuned")
    base = make_model(folder / "base", "text_bpe")
    command = ["finetune", str(base), "--task", str(write_sentiment(folder, 60)), "--output_dir", str(folder / "out")]
    assert main([*command, "--epochs", "1", "--training_seeds", "0", "1", "--num_proc", "1"]) == 0
    return folder


def test_an_adapter_names_its_base_on_the_hub_and_loads_on_it(finetuned, tmp_path):
    base = ReleaseRepository(
        "user/evoslm-tiny-text-bpe", "model", tmp_path / "none", (("seed-1", finetuned / "base"),)
    )
    (tmp_path / "none").mkdir()
    (adapter,) = prepare_adapters([finetuned / "out"], NAMES, tmp_path / "out", UnitTies(), [base], "apache-2.0")
    assert adapter.name == "user/evoslm-tiny-text-bpe-sentiment-text"
    assert [name for name, _ in adapter.branches] == ["main", "seed-1"]
    check_prepared([adapter], finetuned)
    config = json.loads((adapter.folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (base.name, "seed-1")
    card = (adapter.folder / "README.md").read_text()
    assert "base_model:\n- user/evoslm-tiny-text-bpe" in card and "macro-F1" in card and 'revision="seed-1"' in card
    tokenizer = AutoTokenizer.from_pretrained(adapter.folder)
    loaded = AutoModelForSequenceClassification.from_pretrained(finetuned / "base", num_labels=2)
    loaded.config.pad_token_id = tokenizer.pad_token_id
    model = PeftModel.from_pretrained(loaded, adapter.folder).eval()
    own, _, _ = load_finetuned(finetuned / "out" / "models" / "seed-0")
    ids = tokenizer(sentiment_rows(1)[0][0], return_tensors="pt").input_ids
    assert torch.equal(model(input_ids=ids).logits, own(input_ids=ids).logits)
    answered, _, _ = load_finetuned(adapter.folder, base_model=finetuned / "base")
    assert torch.equal(answered(input_ids=ids).logits, own(input_ids=ids).logits)


def test_a_base_that_nobody_could_find_is_refused(finetuned, tmp_path):
    with pytest.raises(ValueError, match="which is not in this release"):
        prepare_adapters([finetuned / "out"], NAMES, tmp_path / "out", UnitTies(), [], "apache-2.0")
    (tmp_path / "half" / "models").mkdir(parents=True)
    with pytest.raises(ValueError, match="let `evoslm finetune` finish"):
        prepare_adapters([tmp_path / "half"], NAMES, tmp_path / "out", UnitTies(), [], "apache-2.0")
