"""Batched, shared and sorted, the scores are those of one sequence at a time, and bad pairs are named."""

import copy
import math

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from evoslm.models.language_model import make_language_model
from evoslm.models.scoring import output_layer
from evoslm.models.scoring.layout import lay_out
from evoslm.models.scoring.likelihoods import score_rows, slide
from evoslm.models.scoring.matrix_products import linear
from evoslm.models.scoring.network import Network, scoring_mode
from evoslm.models.scoring.output_layer import OutputLayer, Scored
from evoslm.models.scoring.pairs import encode_pairs, score_pairs, sequence_log_likelihoods
from evoslm.models.scoring.plan import group_by_prefix, grow_trees, unique_items
from evoslm.models.tokenizers.phones import word_level_tokenizer

VOCABULARY, BOS = 60, 1
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
# Rotary, learned and ALiBi positions, sliding windows, logits that are capped, and a recurrent state.
MODELS = {
    "llama": SHAPE,
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mistral": SHAPE | {"sliding_window": 8},
    "gemma2": SHAPE | {"head_dim": 8, "sliding_window": 8},
    "gemma3_text": SHAPE | {"head_dim": 8, "sliding_window": 32},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}


def make_model(kind="llama", **changes):
    config = AutoConfig.for_model(
        kind, vocab_size=VOCABULARY, bos_token_id=BOS, eos_token_id=2, **MODELS[kind], **changes
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # sharper than at initialisation, so that mistakes show
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
    return model.eval()


@pytest.fixture(scope="module")
def llama():
    return make_model()


@pytest.fixture(scope="module")
def tokenizer():
    return word_level_tokenizer(f"p{i}" for i in range(VOCABULARY - 4))


@pytest.fixture(scope="module")
def items():
    """Sequences with and without contexts, with common beginnings, one inside another, and twice the same."""
    rng = np.random.default_rng(0)
    sequences, contexts = [], []
    for i in range(12):
        context = rng.integers(4, VOCABULARY, rng.integers(17, 60)).tolist() if i % 2 else []
        positive = rng.integers(4, VOCABULARY, rng.integers(2, 40)).tolist()
        negative = positive[: rng.integers(1, len(positive))] + rng.integers(4, VOCABULARY, 5).tolist()
        for sequence in (positive, negative, positive + [7], positive):
            sequences.append(sequence)
            contexts.append(context)
    return [*sequences, [9]], [*contexts, []]


@torch.no_grad()
def one_at_a_time(model, sequences, contexts):
    sums = []
    for sequence, context in zip(sequences, contexts):
        logits = model(input_ids=torch.tensor([[BOS, *context, *sequence]]), use_cache=False).logits[0].double()
        log_probabilities = logits.log_softmax(-1)[len(context) : -1]
        sums.append(float(log_probabilities.gather(1, torch.tensor(sequence)[:, None]).sum()))
    return np.array(sums)


@pytest.mark.parametrize("kind", MODELS)
def test_scores_are_those_of_one_sequence_at_a_time(kind, items):
    model, (sequences, contexts) = make_model(kind), items
    expected = one_at_a_time(model, sequences, contexts)
    tokens = np.array([len(sequence) for sequence in sequences])
    for share_prefixes in (True, False):
        found = sequence_log_likelihoods(model, sequences, contexts, batch_tokens=256, share_prefixes=share_prefixes)
        assert np.abs((found - expected) / tokens).max() < 1e-5


def test_contexts_are_shared_where_a_model_can_continue_them(items):
    rows = [np.array([BOS, *context, *sequence]) for sequence, context in zip(*items)]
    tokens, _ = unique_items(rows, [len(context) + 1 for context in items[1]])
    with scoring_mode(make_model()):
        assert Network(make_model()).can_share
        assert not Network(make_model("mamba")).can_share
    computed = sum(
        group.prefix + sum(int(tokens.lengths[member]) - 1 - group.prefix for member in group.members)
        for group in group_by_prefix(tokens, range(len(tokens.rows)))
    )
    assert computed < 0.65 * (len(tokens.flat) - len(tokens.rows))


def test_continuing_from_a_cache_is_tried_only_where_an_item_is_too_long_for_a_tree():
    model, passes = make_model("mistral"), []  # whose window of 8 is the longest in a tree
    model.get_decoder().register_forward_hook(lambda *_: passes.append(1))
    short, longer = [5, 6, 7], list(range(5, 25))
    sequence_log_likelihoods(model, [short, short[:2]])
    of_short = len(passes)
    sequence_log_likelihoods(model, [longer])
    assert of_short == 4  # as a model, as a tree, without the output layer; and then what is scored
    assert len(passes) - of_short == of_short + 2  # a beginning, and what goes on from it


def test_attention_made_for_packed_training_is_not_given_a_cache(items):
    model = make_language_model(make_model().config, seed=0)  # its attention takes every call for a whole sequence
    with scoring_mode(model):
        assert not Network(model).can_share
    plain = AutoModelForCausalLM.from_config(model.config, attn_implementation="sdpa")
    plain.load_state_dict(model.state_dict())
    found = sequence_log_likelihoods(model, *items)
    assert found == pytest.approx(one_at_a_time(plain.eval(), *items), rel=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_scores_do_not_depend_on_the_batch(llama, items, batch_tokens):
    sequences, contexts = items
    together = sequence_log_likelihoods(llama, sequences, contexts, batch_tokens=batch_tokens)
    order = np.random.default_rng(1).permutation(len(sequences))
    shuffled = sequence_log_likelihoods(llama, [sequences[i] for i in order], [contexts[i] for i in order])
    alone = [sequence_log_likelihoods(llama, [s], [c])[0] for s, c in list(zip(sequences, contexts))[:8]]
    tokens = np.array([len(sequence) for sequence in sequences])
    assert np.abs((together[order] - shuffled) / tokens[order]).max() < 1e-5
    assert np.abs((together[:8] - alone) / tokens[:8]).max() < 1e-5


def test_equal_sequences_tie_to_the_last_bit(llama, items):
    found = sequence_log_likelihoods(llama, *items, batch_tokens=64)
    assert (found[0:48:4] == found[3:48:4]).all()


def test_logits_exist_only_in_blocks_and_only_where_needed(llama, items, monkeypatch):
    monkeypatch.setattr(output_layer, "_MOST_LOGITS", 7 * VOCABULARY)
    rows = []
    hook = llama.lm_head.register_forward_hook(lambda module, inputs, output: rows.append(output.shape[0]))
    try:
        sequences, contexts = items
        expected = one_at_a_time(llama, sequences, contexts)
        rows.clear()
        found = sequence_log_likelihoods(llama, sequences, contexts, share_prefixes=False)
    finally:
        hook.remove()
    assert found == pytest.approx(expected, rel=1e-5)
    unique = {(tuple(sequence), tuple(context)) for sequence, context in zip(sequences, contexts)}
    assert max(rows) <= 8  # 7, or the 8 of the probe
    assert sum(rows) <= sum(len(sequence) for sequence, _ in unique) + 32


@pytest.mark.parametrize("vocabulary", [2048, 32_000, 128_000, 262_144])
def test_the_output_layer_is_read_for_many_positions_at_once_and_leaves_few_logits(vocabulary, monkeypatch):
    head = torch.nn.Linear(2, vocabulary, bias=False)
    products = []

    def recorded(features, weight, bias):
        products.append((len(features), len(weight)))
        return torch.nn.functional.linear(features, weight, bias)

    monkeypatch.setattr(output_layer, "linear", recorded)
    layer = OutputLayer(head, items=1, greedy=False)
    positions, targets = np.arange(100), np.arange(100) * (vocabulary // 100)
    features = torch.randn(100, 2)
    with torch.no_grad():
        for _ in range(15):  # as from the short continuations of long contexts
            layer.add(Scored.of(features, positions, np.zeros(100, dtype=int), targets))
        layer.finish()
        expected = head(features).double().log_softmax(1).gather(1, torch.from_numpy(targets)[:, None])
    assert layer.sums[0, 0] == pytest.approx(15 * expected.sum().item(), rel=1e-6)
    reads = sum(columns for _, columns in products) / vocabulary
    assert reads == 2  # for 1,100 positions, and for the 400 that are left
    assert max(rows * columns for rows, columns in products) <= 2**20


def test_a_wide_vocabulary_has_the_scores_of_one_sequence_at_a_time(items):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=200_000, bos_token_id=BOS, tie_word_embeddings=True, **SHAPE))
    sequences, contexts = [[3000 * id for id in row] for row in items[0]], items[1]
    found = sequence_log_likelihoods(model.eval(), sequences, contexts)
    tokens = np.array([len(sequence) for sequence in sequences])
    assert np.abs((found - one_at_a_time(model, sequences, contexts)) / tokens).max() < 1e-5


def test_positions_that_items_have_in_common_are_computed_once(llama):
    rng = np.random.default_rng(5)
    pairs = []
    for _ in range(6):  # alike for 10 tokens, then not
        first = rng.integers(4, VOCABULARY, 10).tolist()
        pairs += [first + rng.integers(4, VOCABULARY, 3).tolist() for _ in range(2)]
    seen = []

    def count(module, args, kwargs):
        seen.append(kwargs["input_ids"].numel())

    hook = llama.model.register_forward_pre_hook(count, with_kwargs=True)
    scored = []
    head_hook = llama.lm_head.register_forward_hook(lambda module, inputs, output: scored.append(output.shape[0]))
    try:
        found = sequence_log_likelihoods(llama, pairs)
    finally:
        hook.remove()
        head_hook.remove()
    assert found == pytest.approx(one_at_a_time(llama, pairs, [()] * 12), rel=1e-5)
    different = len({(BOS, *pair[:length]) for pair in pairs for length in range(len(pair))})
    assert scored[-1] <= different + 1  # a row of its own begins with BOS again
    assert seen[-1] < 1.2 * different < 0.75 * sum(map(len, pairs))


def test_a_tree_attends_within_its_items_alone(items):
    rows = [np.array([BOS, *sequence]) for sequence in items[0]]
    tokens, _ = unique_items(rows, [1] * len(rows))
    trees = grow_trees(tokens, range(len(tokens.rows)))
    assert sorted(member for tree in trees for member in tree.members) == list(range(len(tokens.rows)))
    layout = lay_out(trees, tokens)
    width = layout.ids.shape[1]
    for item, position, target in zip(layout.items, layout.positions, layout.targets):
        row, column = divmod(position, width)
        before = np.arange(width) <= column
        seen = layout.ids[row, before & (layout.ends[row] > column)]
        length = layout.depths[row, column] + 1
        assert seen.tolist() == tokens.rows[item][:length].tolist() and target == tokens.rows[item][length]


def test_items_longer_than_an_attention_window_are_in_no_tree():
    for kind, longest in (
        ("llama", 256),
        ("mistral", 8),
        ("gemma2", 8),
        ("gemma3_text", 32),
        ("bloom", 0),
        ("mamba", 0),
    ):
        with scoring_mode(model := make_model(kind)):
            assert Network(model).longest_in_tree == longest


def test_linear_layers_are_as_before_after_scoring(llama, items):
    before = [vars(module).copy() for module in llama.modules()]
    sequence_log_likelihoods(llama, *items)
    assert [vars(module).keys() for module in llama.modules()] == [values.keys() for values in before]
    features, layer = torch.randn(3, 40, 32), llama.model.layers[0].mlp.gate_proj
    with torch.no_grad():
        expected = torch.nn.functional.linear(features.double(), layer.weight.double())
        assert (linear(features, layer.weight) - expected).abs().max() < 1e-5
    assert linear(features, layer.weight).requires_grad


def test_a_bfloat16_model_is_scored_in_float32_and_comes_back_as_it_was(items):
    model = make_model().to(torch.bfloat16).train()
    before = copy.deepcopy(model.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = sequence_log_likelihoods(model, *items)
    assert found == pytest.approx(one_at_a_time(copy.deepcopy(model).float().eval(), *items), rel=1e-5)
    assert model.training
    assert all(
        torch.equal(value, before[name]) and value.dtype == torch.bfloat16
        for name, value in model.state_dict().items()
    )
    model(input_ids=torch.tensor([[1, 5, 6]]), labels=torch.tensor([[1, 5, 6]])).loss.backward()


def test_only_the_continuation_counts(llama):
    context, sequence = [5, 6, 7], [8, 9]
    whole, beginning = sequence_log_likelihoods(llama, [context + sequence, context])
    assert sequence_log_likelihoods(llama, [sequence], [context])[0] == pytest.approx(whole - beginning, abs=1e-5)


def test_a_sequence_may_fill_the_window_but_not_exceed_it(llama):
    window = SHAPE["max_position_embeddings"]
    assert np.isfinite(sequence_log_likelihoods(llama, [[5] * window])).all()
    with pytest.raises(ValueError, match=r"window of 128 positions: sequence 1 with 129 tokens"):
        sequence_log_likelihoods(llama, [[5], [5] * 100], [[], [5] * 29])


@pytest.mark.parametrize(("length", "start", "window"), [(10, 0, 4), (9, 8, 4), (9, 2, 4), (8, 3, 8), (5, 0, 1)])
def test_a_slide_scores_every_token_once_behind_all_that_fits(length, start, window):
    pieces = slide(length, start, window)
    scored = [token for _, first, end in pieces for token in range(first, end)]
    assert scored == list(range(start, length))
    assert all(end - seen <= window and (seen == 0 or end - seen == window) for seen, _, end in pieces)
    assert all(seen == 0 or first - seen >= window // 2 for seen, first, _ in pieces)
    assert len(pieces) == 1 or length > window


def test_longer_sequences_are_scored_in_pieces_only_when_asked(llama):
    rng = np.random.default_rng(3)
    sequences = [rng.integers(4, VOCABULARY, length).tolist() for length in (300, 20, 40, 129)]
    contexts = [[], rng.integers(4, VOCABULARY, 250).tolist(), [7], []]
    found = sequence_log_likelihoods(llama, sequences, contexts, long_sequences="slide")
    # 300 tokens: the first 128 together, then 64 at a time, each behind the 64 before it.
    first = sequences[0]
    expected = one_at_a_time(
        llama,
        [first[:128], first[128:192], first[192:256], first[256:], sequences[1], sequences[2]],
        [[], first[64:128], first[128:192], first[172:256], contexts[1][-108:], [7]],
    )
    assert found[:3] == pytest.approx([expected[:4].sum(), expected[4], expected[5]], rel=1e-5)
    alone = sequence_log_likelihoods(llama, sequences[2:3], contexts[2:3])
    assert found[2] == pytest.approx(alone[0], rel=1e-5)
    with pytest.raises(ValueError, match="let long_sequences slide"):
        sequence_log_likelihoods(llama, sequences, contexts)
    with pytest.raises(ValueError, match="choose from error, slide"):
        sequence_log_likelihoods(llama, sequences, contexts, long_sequences="cut")


def test_what_greedy_decoding_would_not_have_written_is_counted(llama, items):
    sequences, contexts = items
    best = [[BOS, 5, 6]]
    with torch.no_grad():
        best.append(llama.generate(torch.tensor(best), max_new_tokens=9, do_sample=False)[0].tolist())
    rows = [[BOS, *context, *sequence] for sequence, context in zip(sequences, contexts)] + best
    starts = [len(context) + 1 for context in contexts] + [1, 3]
    scores = score_rows(llama, rows, starts, greedy=True)
    with torch.no_grad():
        likeliest = [llama(torch.tensor([row[:-1]])).logits[0].argmax(-1).numpy() for row in rows]
    misses = [(found[start - 1 :] != row[start:]).sum() for found, row, start in zip(likeliest, rows, starts)]
    assert scores[:, 1].tolist() == misses and misses[-1] == 0
    assert scores[:-2, 0] == pytest.approx(sequence_log_likelihoods(llama, sequences, contexts), rel=1e-6)
    for start in (-1, 0, 3):
        with pytest.raises(ValueError, match=f"scored of sequence 1 begins at token {start} of 3"):
            score_rows(llama, [[BOS, 5, 6], [BOS, 5, 7]], [1, start])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[5], []],), "nothing to score in sequence 1"),
        (([[5, VOCABULARY]],), f"The id {VOCABULARY} in sequence 0 is outside"),
        (([[5]], [[-1]]), "The id -1 in sequence 0 is outside"),
        (([[5]], []), "1 sequences but 0 contexts"),
    ],
)
def test_bad_ids_are_named(llama, arguments, message):
    with pytest.raises(ValueError, match=message):
        sequence_log_likelihoods(llama, *arguments)


def test_no_sequences_give_no_scores(llama):
    assert sequence_log_likelihoods(llama, []).shape == (0,)


def test_a_model_without_bos_starts_with_eos_and_without_both_needs_to_be_given_one(items):
    model = make_model()
    with_bos = sequence_log_likelihoods(model, *items, bos_token_id=2)
    model.config.bos_token_id = None
    assert (sequence_log_likelihoods(model, *items) == with_bos).all()
    model.config.eos_token_id = None
    with pytest.raises(ValueError, match="give bos_token_id"):
        sequence_log_likelihoods(model, *items)


def test_weights_that_are_not_numbers_are_reported_with_the_pair(tokenizer):
    model = make_model()
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids("p9")] = float("nan")
    pairs = [pair("fine", "p1 p2", "p3"), pair("broken", "p1 p2", "p9 p3")]
    with pytest.raises(ValueError, match="negative side of pair 'broken' is nan"):
        score_pairs(model, tokenizer, pairs, "phones")


def pair(name, positive, negative, context=None, **others):
    row = {"id": name, "positive_phones": positive, "negative_phones": negative} | others
    return row if context is None else row | {"context_phones": context}


def test_pairs_are_scored_with_and_without_their_context(llama, tokenizer):
    pairs = [pair("a", "p1 p2", "p3 p4 p5", "p6 p7 " * 10), pair("b", "p1 p2", "p3", None), pair("c", "p8", "p8", "")]
    ids = encode_pairs(tokenizer, pairs, "phones")
    scores = score_pairs(llama, tokenizer, iter(pairs), "phones")
    assert [row["positive_tokens"] for row in scores] == [2, 2, 1]
    assert [row["negative_tokens"] for row in scores] == [3, 1, 1]
    for side, sides in (("positive", ids.positives), ("negative", ids.negatives)):
        assert [row[side] for row in scores] == pytest.approx(one_at_a_time(llama, sides, ids.contexts), rel=1e-5)
        alone = one_at_a_time(llama, sides[:1], [[]])[0]
        assert scores[0][f"{side}_unconditional"] == pytest.approx(alone, rel=1e-5)
        assert math.isnan(scores[1][f"{side}_unconditional"]) and math.isnan(scores[2][f"{side}_unconditional"])
    assert scores[2]["positive"] == scores[2]["negative"]


def test_columns_without_a_form_are_read_by_default(llama, tokenizer):
    row = {"pair_id": "x", "context": "p1", "positive": "p2", "negative": "p3"}
    assert score_pairs(llama, tokenizer, [row]) == score_pairs(
        llama, tokenizer, [pair("x", "p2", "p3", "p1")], "phones"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (pair("x", "", "p1"), "The positive side of pair 'x' is empty"),
        (pair("x", "p1", None), "The negative side of pair 'x' is empty"),
        (pair("x", "p1", " ", voice="en+f1"), r"The negative side of pair 'x' in the voice 'en\+f1' is empty"),
        (
            pair("x", "p1", "p2 zzz p3"),
            "The negative of pair 'x' has the symbol 'zzz', which the tokenizer does not know",
        ),
        (
            {"id": "x", "positive_phones": "p1"},
            "The row of pair 'x' has no column 'negative_phones'; it has id, positive_",
        ),
        (pair("x", "p1", "p2", context_text="The"), "The row of pair 'x' has no column 'context_phones'"),
        ({"positive_phones": "p1", "negative_phones": [3]}, "'negative_phones' of pair 0 holds a list"),
        (pair("x", "p1", "p2 " * 129), "the negative side of pair 'x' with 129 tokens"),
    ],
)
def test_bad_pairs_are_named(llama, tokenizer, row, message):
    with pytest.raises(ValueError, match=message):
        score_pairs(llama, tokenizer, [row], "phones")


def test_a_tokenizer_of_another_model_is_refused(llama):
    larger = word_level_tokenizer(f"p{i}" for i in range(VOCABULARY))
    with pytest.raises(ValueError, match="64 ids, but the model only 60"):
        score_pairs(llama, larger, [pair("x", "p1", "p2")], "phones")
