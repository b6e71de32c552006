"""The scoring engine inside lm-evaluation-harness answers as the harness's own class does."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.tokenizers.by_modality import train_tokenizer

lm_eval = pytest.importorskip("lm_eval")

from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

from evoslm.models.scoring.harness import EvoSLMHarnessModel  # noqa: E402

SENTENCES = [
    "the farmer sees a dog behind the old barn",
    "the farmers see a dog",
    "a dog sees the farmer and the farmer sees a dog",
    "every child in the village likes the baker",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer("text_bpe", SENTENCES, vocab_size=120)
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=16, bos_token_id=1, eos_token_id=2, pad_token_id=0, **shape
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(8)
    model.save_pretrained(folder)
    return str(folder)


def requests(kind, arguments):
    return [Instance(request_type=kind, doc={}, arguments=words, idx=i) for i, words in enumerate(arguments)]


def test_answers_are_those_of_the_harness(folder):
    theirs, ours = (
        kind(pretrained=folder, device="cpu", batch_size=2, dtype="float32") for kind in (HFLM, EvoSLMHarnessModel)
    )
    asked = [("", sentence) for sentence in SENTENCES]
    asked += [(first, " " + second) for first in SENTENCES for second in ("the dog", "a farmer sees")]
    prompt = SENTENCES[1]
    ids = torch.tensor([theirs.tok_encode(prompt)])
    greedy = theirs.model.generate(ids, max_new_tokens=1, do_sample=False)[0, -1:]
    asked.append((prompt, theirs.tokenizer.decode(greedy)))
    expected = theirs.loglikelihood(requests("loglikelihood", asked), disable_tqdm=True)
    found = ours.loglikelihood(requests("loglikelihood", asked), disable_tqdm=True)
    assert [value for value, _ in found] == pytest.approx([value for value, _ in expected], rel=1e-5)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]
    rolled = [(" ".join(SENTENCES),), (SENTENCES[0],)]  # the first is longer than the window
    expected = theirs.loglikelihood_rolling(requests("loglikelihood_rolling", rolled), disable_tqdm=True)
    found = ours.loglikelihood_rolling(requests("loglikelihood_rolling", rolled), disable_tqdm=True)
    assert found == pytest.approx(expected, rel=1e-5) and ours.batch_size == 2


def test_a_continuation_longer_than_the_window_is_refused(folder):
    model = EvoSLMHarnessModel(pretrained=folder, device="cpu", dtype="float32")
    asked = requests("loglikelihood", [("the", " dog"), ("the farmer", " " + " ".join(SENTENCES))])
    with pytest.raises(ValueError, match="continuation of request 1 has .* more than the model's window of 16"):
        model.loglikelihood(asked, disable_tqdm=True)


def test_a_task_of_the_harness_runs(folder, tmp_path):
    rows = [{"sentence_good": SENTENCES[0], "sentence_bad": "the farmer see a dog"}] * 3
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "agreement",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"train": str(tmp_path / "pairs.jsonl")}},
        "output_type": "multiple_choice",
        "validation_split": "train",
        "doc_to_text": "",
        "doc_to_target": 0,
        "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
        "metric_list": [{"metric": "acc"}],
    }
    results = [
        lm_eval.simple_evaluate(
            model, model_args={"pretrained": folder, "dtype": "float32"}, tasks=[task], device="cpu", bootstrap_iters=0
        )["results"]["agreement"]["acc,none"]
        for model in ("evoslm", "hf")
    ]
    assert results[0] == results[1]
