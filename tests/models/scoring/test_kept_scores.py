"""Scores that are kept on disk: nothing finished is computed twice, and nothing of another model is taken for it."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.scoring import kept_scores, score_pairs
from evoslm.models.scoring import pairs as scoring
from evoslm.models.scoring.kept_scores import fingerprint_model
from evoslm.models.tokenizers.phones import word_level_tokenizer


def make_model(seed=0, **changes):
    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=60, max_position_embeddings=32, bos_token_id=1, **shape, **changes)
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return word_level_tokenizer(f"p{i}" for i in range(56))


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setattr(kept_scores, "PAIRS_PER_CHUNK", 4)
    rng = np.random.default_rng(0)

    def content():
        return " ".join(f"p{i}" for i in rng.integers(0, 56, rng.integers(2, 9)))

    return [
        {"id": str(i), "positive": content(), "negative": content(), "context": content() if i % 3 else ""}
        for i in range(14)
    ]


@pytest.fixture
def scored_pairs(monkeypatch):
    """How many pairs each call of the engine had."""
    calls, score = [], scoring._score

    def counting(model, ids, **options):
        calls.append(len(ids))
        return score(model, ids, **options)

    monkeypatch.setattr(scoring, "_score", counting)
    return calls


def same(found, expected):
    assert [row.keys() for row in found] == [row.keys() for row in expected]
    for key in expected[0]:
        np.testing.assert_allclose([row[key] for row in found], [row[key] for row in expected], rtol=1e-6)


def test_a_call_that_was_stopped_goes_on_where_it_was(tokenizer, pairs, scored_pairs, tmp_path, monkeypatch):
    model = make_model()
    expected = score_pairs(model, tokenizer, pairs)
    del scored_pairs[:]
    write, written = kept_scores.KeptScores.write, []

    def stop_after_two(self, chunk, *rest):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(chunk)
        write(self, chunk, *rest)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(kept_scores.KeptScores, "write", stop_after_two)
        score_pairs(model, tokenizer, pairs, save_dir=tmp_path / "kept")
    assert scored_pairs == [4, 4, 4]
    shares = []
    same(score_pairs(model, tokenizer, pairs, save_dir=tmp_path / "kept", report_progress=shares.append), expected)
    assert scored_pairs == [4, 4, 4, 4, 2] and shares == [0.25, 0.5, 0.75, 1.0]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        f"scores-0000{chunk}-of-00004.parquet" for chunk in range(4)
    ]


def test_processes_share_the_work_through_a_folder(tokenizer, pairs, scored_pairs, tmp_path):
    model = make_model()
    parts = [score_pairs(model, tokenizer, pairs, save_dir=tmp_path / "kept", part=(i, 6)) for i in range(6)]
    assert [len(part) for part in parts] == [4, 4, 4, 2, 0, 0]
    del scored_pairs[:]
    same(score_pairs(model, tokenizer, pairs, save_dir=tmp_path / "kept"), sum(parts, []))
    assert scored_pairs == []
    with pytest.raises(ValueError, match="give save_dir with part"):
        score_pairs(model, tokenizer, pairs, part=(0, 2))


def test_a_damaged_file_is_made_again(tokenizer, pairs, scored_pairs, tmp_path):
    expected = score_pairs(make_model(), tokenizer, pairs, save_dir=tmp_path)
    path = tmp_path / "scores-00001-of-00004.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    (tmp_path / "scores-00003-of-00004.parquet").write_bytes(b"")
    del scored_pairs[:]
    same(score_pairs(make_model(), tokenizer, pairs, save_dir=tmp_path), expected)
    assert scored_pairs == [4, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda call: {**call, "model": make_model(1)}, "another model, other pairs or another rule"),
        (lambda call: {**call, "model": make_model(rope_theta=5.0)}, "another model"),
        (lambda call: {**call, "pairs": [*call["pairs"][1:], call["pairs"][0]]}, "other pairs"),
        (lambda call: {**call, "unconditional": False}, "another rule"),
        (lambda call: {**call, "long_sequences": "slide"}, "another rule"),
        (lambda call: {**call, "pairs": call["pairs"][:5]}, "holds scores-00000-of-00004.parquet, which is not of"),
    ],
)
def test_scores_of_something_else_are_refused(tokenizer, pairs, tmp_path, change, message):
    call = {"model": make_model(), "tokenizer": tokenizer, "pairs": pairs, "save_dir": tmp_path}
    score_pairs(**call)
    with pytest.raises(ValueError, match=message):
        score_pairs(**change(call))


def test_a_folder_without_a_parent_is_named(tokenizer, pairs, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*missing to keep scores in"):
        score_pairs(make_model(), tokenizer, pairs, save_dir=tmp_path / "missing" / "kept")


def test_a_model_is_known_by_what_it_computes(tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    loaded = LlamaForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    assert fingerprint_model(loaded) == fingerprint_model(model)
    with torch.no_grad():
        loaded.model.norm.weight[0] += 1e-3
    assert fingerprint_model(loaded) != fingerprint_model(model)
