"""Documents packed into one row are as blind to each other as if each were alone."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.models.packed_attention import PACKED_ATTENTION, pack_documents


@pytest.fixture(scope="module", params=[4, 2], ids=["all heads", "grouped heads"])
def models(request):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=request.param,
    )
    eager = LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()
    packed = LlamaForCausalLM._from_config(config, attn_implementation=PACKED_ATTENTION).eval()
    packed.load_state_dict(eager.state_dict())
    return eager, packed


def test_packed_logits_and_gradients_equal_those_of_each_document_alone(models):
    eager, packed = models
    lengths = [7, 1, 13, 4]
    documents = [torch.randint(50, (1, length)) for length in lengths]
    position_ids, index = pack_documents(lengths)
    together = packed(torch.cat(documents, 1), position_ids=position_ids, documents=index, use_cache=False).logits
    alone = torch.cat([eager(document, use_cache=False).logits for document in documents], 1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)

    weights = torch.randn_like(alone)
    for model, logits in ((packed, together), (eager, alone)):
        model.zero_grad()
        (logits * weights).sum().backward()
    for (name, ours), (_, theirs) in zip(packed.named_parameters(), eager.named_parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_changing_one_document_changes_no_other(models):
    _, packed = models
    position_ids, index = pack_documents([5, 6])
    ids = torch.randint(50, (1, 11))
    other = ids.clone()
    other[:, :5] = (ids[:, :5] + 1) % 50
    layout = {"position_ids": position_ids, "documents": index, "use_cache": False}
    before, after = packed(ids, **layout).logits, packed(other, **layout).logits
    assert torch.equal(before[:, 5:], after[:, 5:])
    assert not torch.equal(before[:, :5], after[:, :5])


def test_an_unpacked_batch_of_equal_lengths_is_plain_causal_attention(models):
    eager, packed = models
    ids = torch.randint(50, (3, 9))
    ours, theirs = (model(ids, use_cache=False).logits for model in (packed, eager))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_packed_attention_is_not_saved_with_a_model(models, tmp_path):
    models[1].save_pretrained(tmp_path)
    assert PACKED_ATTENTION not in (tmp_path / "config.json").read_text()
    assert LlamaForCausalLM.from_pretrained(tmp_path).config._attn_implementation == "sdpa"
