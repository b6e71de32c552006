"""Models that people have: without a beginning-of-sequence token, and with tokenizers that write spaces otherwise."""

import json

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from evoslm.metrics.reference_scorer import score_pairs as reference_score_pairs
from evoslm.models.modalities import MODALITIES
from evoslm.models.scoring.beginning import find_beginning
from evoslm.models.scoring.pairs import encode_pairs, score_pairs
from evoslm.models.tokenizers.by_modality import train_tokenizer
from evoslm.training.cli import main

SENTENCES = [
    "The cat sat. Then it ran away.",
    "The cats sat behind the old barn, and then the farmer saw them.",
    "Every child in the village likes the baker. Then the baker likes it.",
]
PAIRS = [
    {"id": "given", "context_text": "The cat sat.", "positive_text": "Then it ran.", "negative_text": "Then the it."},
    {"id": "trailing", "context_text": "The cat sat. ", "positive_text": "Then it", "negative_text": "The cats saw"},
    {"id": "leading", "context_text": "The cats sat.", "positive_text": " Then it ran.", "negative_text": " Then"},
    {"id": "mixed", "context_text": "The baker", "positive_text": " likes", "negative_text": "likes"},
    {"id": "alone", "context_text": "", "positive_text": "The cat sat.", "negative_text": "The cat sit."},
]
LLAMA_3 = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def make_tokenizer(kind):
    """Small tokenizers of four families, trained on the sentences."""
    backend = Tokenizer(models.BPE())
    if kind in ("gpt2", "llama3"):
        if kind == "gpt2":
            backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        else:
            split = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
            backend.pre_tokenizer = pre_tokenizers.Sequence(
                [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
            )
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        if kind == "gemma":
            backend.normalizer = normalizers.Replace(" ", "▁")
            backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
            backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
        else:
            backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
            backend.decoder = decoders.Metaspace(prepend_scheme="first")
        alphabet = list({*"".join(SENTENCES), "▁", "a"} - {" "})
    special = ["<|endoftext|>"] if kind == "gpt2" else ["<bos>", "<eos>"]
    backend.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    if kind == "gpt2":
        return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")
    backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>")


def make_model(tokenizer, **changes):
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **shape | changes))
    with torch.no_grad():  # sharper than at initialisation, so that mistakes show
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(6)
    return model.eval()


@pytest.mark.parametrize("kind", ["gpt2", "llama3", "gemma", "llama2"])
def test_a_context_and_its_continuation_are_read_with_one_space_between(kind):
    tokenizer = make_tokenizer(kind)
    ids = encode_pairs(tokenizer, PAIRS, "text")
    for pair, context, positive, negative in zip(PAIRS, ids.contexts, ids.positives, ids.negatives):
        for side, tokens in (("positive_text", positive), ("negative_text", negative)):
            written = f"{pair['context_text'].strip()} {pair[side].strip()}".strip()
            assert tokenizer.decode(context + tokens) == written
            assert context + tokens == tokenizer(written, add_special_tokens=False).input_ids


def test_ends_of_lines_are_kept_and_the_same_side_has_the_same_ids():
    pairs = [
        {"context": "The cat sat.\n", "positive": "Then it", "negative": "it"},
        {"context": "The cat sat", "positive": "\n\nThen", "negative": " it"},
    ]
    tokenizer = make_tokenizer("gpt2")
    ids = encode_pairs(tokenizer, pairs)
    assert [tokenizer.decode(tokens) for tokens in ids.contexts] == ["The cat sat.", "The cat sat"]
    assert [tokenizer.decode(tokens) for tokens in ids.positives] == ["\nThen it", "\n\nThen"]
    assert [tokenizer.decode(tokens) for tokens in ids.negatives] == ["\nit", " it"]


@pytest.mark.parametrize("name", MODALITIES)
def test_the_ids_of_our_own_modalities_are_those_of_their_contents(name):
    contents = {
        "text": ["the farmer sees a dog", "behind the old barn."],
        "phones": ["DH AH0 SIL F AA1 R M ER0", "SIL D AO1 G SIL"],
    }.get(MODALITIES[name].column.split("_")[0], ["17 17 3 4 5 6", "1 2 3 3 3 3"])
    options = {"num_units": 20} if MODALITIES[name].is_speech else {}
    size = {"text_bpe": 100, "phone_bpe": 82, "speech_bpe": 36}.get(name)
    tokenizer = train_tokenizer(name, contents, **options, **({"vocab_size": size} if size else {}))
    context, side = (tokenizer(content, add_special_tokens=False).input_ids for content in contents)
    ids = encode_pairs(tokenizer, [{"context": contents[0], "positive": contents[1], "negative": contents[1]}])
    assert (ids.contexts, ids.positives, ids.negatives) == ([context], [side], [side])
    assert find_beginning(LlamaConfig(bos_token_id=7), tokenizer).token_id == tokenizer.bos_token_id


@pytest.mark.parametrize("kind", ["gpt2", "llama3", "gemma", "llama2"])
def test_pairs_with_contexts_have_the_scores_of_the_harness(kind):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    tokenizer = make_tokenizer(kind)
    model = make_model(tokenizer)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=2, device="cpu")
    # Before a context, the harness writes only what the tokenizer adds; we always write a beginning.
    start = tokenizer.eos_token if kind == "gpt2" else ""
    asked = []
    for pair in PAIRS[:4]:
        context = pair["context_text"].rstrip()
        asked += [(start + context, " " + pair[side].lstrip()) for side in ("positive_text", "negative_text")]
    asked += [("", PAIRS[4][side]) for side in ("positive_text", "negative_text")]
    requests = [Instance("loglikelihood", {}, arguments, i) for i, arguments in enumerate(asked)]
    expected = [value for value, _ in harness.loglikelihood(requests, disable_tqdm=True)]
    scores = score_pairs(model, tokenizer, PAIRS, "text")
    found = [row[side] for row in scores for side in ("positive", "negative")]
    assert found == pytest.approx(expected, rel=1e-5)
    assert harness.prefix_token_id == find_beginning(model.config, tokenizer).token_id
    reference = reference_score_pairs(model, tokenizer, PAIRS, "text")
    for ours, theirs in zip(scores, reference):
        assert ours == pytest.approx(theirs, rel=1e-5, nan_ok=True)


def test_a_sequence_starts_with_bos_else_eos_else_what_is_given():
    tokenizer, config = make_tokenizer("gpt2"), LlamaConfig(bos_token_id=5, eos_token_id=[6, 7])
    found = find_beginning(config, tokenizer)
    assert found.token_id == tokenizer.eos_token_id and found.source == "the tokenizer's end-of-sequence token"
    assert find_beginning(config, make_tokenizer("llama3")).source == "the tokenizer's beginning-of-sequence token"
    assert find_beginning(config, tokenizer, 9).token_id == 9
    assert find_beginning(config).token_id == 5
    config.bos_token_id = None
    assert find_beginning(config).token_id == 6
    config.eos_token_id = None
    with pytest.raises(ValueError, match="evoslm score --bos_token_id"):
        find_beginning(config)


def test_the_summary_says_what_a_sequence_starts_with(tmp_path, capsys):
    tokenizer = make_tokenizer("gpt2")
    make_model(tokenizer, bos_token_id=None, eos_token_id=None).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    folder = tmp_path / "scores"
    command = ["score", "--model_id", str(tmp_path / "model"), "--pairs", str(tmp_path / "pairs.jsonl")]
    command += ["--output_dir", str(folder), "--modality", "text", "--device", "cpu", "--num_proc", "1"]

    def beginning():
        return json.loads((folder / "summary.json").read_text())["beginning"]

    assert main(command) == 0
    expected = {"token": "<|endoftext|>", "token_id": 0, "source": "the tokenizer's end-of-sequence token"}
    assert beginning() == expected
    assert "starts with '<|endoftext|>' (id 0: the tokenizer's end-of-sequence token)" in capsys.readouterr().out
    assert main([*command, "--bos_token_id", "3"]) == 2
    assert "bos_token_id (None there, 3 now)" in capsys.readouterr().err
    assert main([*command, "--bos_token_id", "3", "--overwrite", "true"]) == 0
    assert beginning()["token_id"] == 3 and beginning()["source"] == "bos_token_id, as given"
    capsys.readouterr()
    assert main([*command, "--bos_token_id", "3000", "--overwrite", "true"]) == 2
    assert "The BOS id 3000 is outside the model's vocabulary" in capsys.readouterr().err
