"""An adapter is small, comes back bit for bit after the vocabulary has grown, and belongs to one base."""

import shutil

import pytest
import torch
from hub_server import HubServer, Repository
from peft import PeftModel
from safetensors.torch import load_file
from tiny_slu import NUM_UNITS, make_model
from tokenizers import Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from evoslm.models.slu.adapters import (
    add_lora,
    describe_base,
    load_base,
    load_finetuned,
    merge_adapter,
    save_adapter,
)
from evoslm.models.slu.answers import AnswerFormat
from evoslm.models.slu.configuration_slu import CLASSIFICATION, ENTITIES, SluConfig

LABELS = ("PERSON", "PLACE")


def make_gpt2(folder):
    """An untrained model of others, whose embedding has more rows than its tokenizer has tokens."""
    tokenizer = Tokenizer(
        models.BPE({letter: index for index, letter in enumerate(["<|end|>", *ByteLevel.alphabet()])}, [])
    )
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>").save_pretrained(folder)
    config = GPT2Config(vocab_size=259, n_embd=32, n_layer=2, n_head=2, n_positions=128, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def make_adapter(folder, base, modality, kind="entities"):
    """An adapter with random weights in place of trained ones, as it was in memory when it was saved."""
    written = AnswerFormat.of_training(modality, LABELS, ["anna b"])
    tokenizer = AutoTokenizer.from_pretrained(base)
    new_ids = written.grow(tokenizer) if kind == "entities" else []
    config = SluConfig("people", kind, LABELS, describe_base(str(base), base), modality, characters=written.characters)
    torch.manual_seed(1)
    model = add_lora(load_base(base, config, tokenizer), config, new_ids, rank=4, alpha=8, dropout=0.0)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.2)
    save_adapter(model, tokenizer, config, folder)
    return model.eval(), new_ids


@pytest.fixture(params=[("joint", True), ("joint", False), ("speech_units", True), (None, True)], ids=str)
def grown(request, tmp_path):
    modality, tied = request.param
    base = make_gpt2(tmp_path / "base") if modality is None else make_model(tmp_path / "base", modality, tied)
    model, new_ids = make_adapter(tmp_path / "adapter", base, modality)
    return base, tmp_path / "adapter", model, new_ids


def some_ids(model, new_ids=()):
    """A sequence of old tokens and all new ones."""
    rng = torch.Generator().manual_seed(0)
    old = torch.randint(4, NUM_UNITS, (1, 20), generator=rng)
    return torch.cat([old, torch.tensor([list(new_ids)], dtype=torch.long)], dim=1)


@pytest.mark.parametrize("kind", [CLASSIFICATION, ENTITIES])
def test_a_model_from_scratch_has_the_architecture_alone(tmp_path, kind):
    base = make_model(tmp_path / "base", "text_bpe")
    config = SluConfig("people", kind, LABELS, describe_base(str(base), base), "text_bpe")
    tokenizer = AutoTokenizer.from_pretrained(base)
    if kind == ENTITIES:
        AnswerFormat.of_training("text_bpe", LABELS, ["anna b"]).grow(tokenizer)

    def load(seed, from_scratch):
        torch.manual_seed(seed)
        return load_base(base, config, tokenizer, from_scratch)

    trained, new, again, other = load(5, False), load(5, True), load(5, True), load(6, True)
    assert new.config.to_diff_dict() == trained.config.to_diff_dict()
    matrices = [name for name, weight in trained.named_parameters() if weight.dim() > 1 and "layers" in name]
    for name in matrices:
        weight, drawn = trained.get_parameter(name), new.get_parameter(name)
        assert weight.shape == drawn.shape and not torch.equal(weight, drawn)
        assert torch.equal(drawn, again.get_parameter(name)) and not torch.equal(drawn, other.get_parameter(name))
        assert drawn.std().item() == pytest.approx(new.config.initializer_range, rel=0.1)


@torch.no_grad()
def test_an_adapter_of_a_grown_vocabulary_gives_the_same_logits_bit_for_bit(grown):
    base, folder, model, new_ids = grown
    ids = some_ids(model, new_ids)
    assert torch.equal(load_finetuned(folder)[0](ids).logits, model(ids).logits)
    # And with peft alone, as the documentation shows it.
    plain = AutoModelForCausalLM.from_pretrained(base)
    plain.resize_token_embeddings(len(AutoTokenizer.from_pretrained(folder)))
    assert torch.equal(PeftModel.from_pretrained(plain, folder).eval()(ids).logits, model(ids).logits)


def test_of_a_grown_vocabulary_only_the_new_rows_are_saved(grown):
    base, folder, model, new_ids = grown
    saved = load_file(folder / "adapter_model.safetensors")
    rows = {name: weight for name, weight in saved.items() if "lora" not in name}
    tied = model.config.tie_word_embeddings
    assert len(rows) == (1 if tied else 2)
    assert {tuple(weight.shape) for weight in rows.values()} == {(len(new_ids), model.config.hidden_size)}
    size, whole = (path.stat().st_size for path in (folder / "adapter_model.safetensors", base / "model.safetensors"))
    assert size < whole / 2
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or "trainable_tokens" in name for name in trained)


@torch.no_grad()
def test_a_merged_model_is_plain_says_the_same_and_has_the_old_rows(grown, tmp_path):
    base, folder, model, new_ids = grown
    before = (base / "model.safetensors").read_bytes()
    merge_adapter(folder, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    ids = some_ids(model, new_ids)
    torch.testing.assert_close(merged(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-3)
    old = AutoModelForCausalLM.from_pretrained(base)
    for name in ("get_input_embeddings", "get_output_embeddings"):
        rows = getattr(old, name)().weight[: new_ids[0]]
        assert torch.equal(getattr(merged, name)().weight[: len(rows)], rows)
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert (base / "model.safetensors").read_bytes() == before
    assert torch.equal(load_finetuned(tmp_path / "merged")[0](ids).logits, merged(ids).logits)


@torch.no_grad()
def test_a_classifier_comes_back_and_merges_into_a_plain_one(tmp_path):
    base = make_model(tmp_path / "base", "text_bpe")
    model, _ = make_adapter(tmp_path / "adapter", base, "text_bpe", "classification")
    ids = some_ids(model)
    loaded = load_finetuned(tmp_path / "adapter")[0]
    assert loaded(ids).logits.shape == (1, 2) and torch.equal(loaded(ids).logits, model(ids).logits)
    merge_adapter(tmp_path / "adapter", tmp_path / "merged")
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(merged(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-3)
    assert merged.config.id2label == {0: "PERSON", 1: "PLACE"}
    # A batch is pooled at the last token of each row, whichever side is padded.
    pad = merged.config.pad_token_id
    for padded in (torch.nn.functional.pad(ids, (0, 3), value=pad), torch.nn.functional.pad(ids, (3, 0), value=pad)):
        mask = (padded != pad).long()
        torch.testing.assert_close(
            merged(padded, attention_mask=mask).logits, merged(ids).logits, rtol=1e-4, atol=1e-4
        )


def test_an_adapter_of_another_base_or_vocabulary_is_refused_in_one_sentence(grown, tmp_path):
    base, folder, _, _ = grown
    other = shutil.copytree(base, tmp_path / "other")
    retrained = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        retrained.get_input_embeddings().weight[0] += 1
    retrained.save_pretrained(other)
    with pytest.raises(ValueError, match=f"is an adapter of {base}, and {other} has other weights") as error:
        load_finetuned(folder, other)
    assert len(str(error.value).splitlines()) == 1
    foreign = make_model(tmp_path / "foreign", "text_bpe")
    with pytest.raises(ValueError, match=f"{foreign} has another vocabulary than the model that it was trained on"):
        load_finetuned(folder, foreign)
    moved = shutil.move(base, tmp_path / "moved")
    with pytest.raises(FileNotFoundError, match="which is not found; give its base as base_model"):
        load_finetuned(folder)
    load_finetuned(folder, moved)


def test_a_folder_that_was_not_fine_tuned_is_named(tmp_path):
    base = make_model(tmp_path / "base", "text_bpe")
    with pytest.raises(FileNotFoundError, match="is not the folder of a model that `evoslm finetune` made"):
        load_finetuned(base)


def test_an_id_that_the_hub_does_not_have_or_cannot_answer_for_is_named(tmp_path, monkeypatch):
    with HubServer() as hub:
        hub.serve_this_process(monkeypatch)
        with pytest.raises(FileNotFoundError, match=r"^user/none cannot be had, neither as a folder .* \(.*404"):
            load_finetuned("user/none")
        repository = hub.repositories["model", "user/plain"] = Repository("model", "user/plain")
        repository.commit("weights", {"config.json": b"{}"})
        with pytest.raises(FileNotFoundError, match="is not the folder of a model that `evoslm finetune` made"):
            load_finetuned("user/plain")
        with pytest.raises(FileNotFoundError, match=r"^user/plain at v9 cannot be had.* \(404"):
            load_finetuned("user/plain", revision="v9")
    with pytest.raises(ValueError, match="lies on this machine and has no revision 'v9'"):
        load_finetuned(tmp_path, revision="v9")


def test_a_model_without_a_token_that_ends_is_refused(tmp_path):
    base = make_model(tmp_path / "base", "text_bpe", eos_token_id=None)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.eos_token = tokenizer.pad_token = None
    for kind, message in (
        ("entities", "no token that ends a sequence"),
        ("classification", "neither a padding token"),
    ):
        config = SluConfig("t", kind, LABELS, describe_base(str(base), base), "text_bpe")
        with pytest.raises(ValueError, match=message):
            load_base(base, config, tokenizer)
