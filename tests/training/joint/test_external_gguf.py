"""A judge that is packed as a GGUF is unpacked once: its weights and its pieces are those of the model in it."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from evoslm.training.joint.external import external_language_model

gguf = pytest.importorskip("gguf")
LETTERS = ["<unk>", "<s>", "</s>", *"abcdefgh", "Ġ", "ab", "Ġa"]


def pack(path, model):
    """Write a small Llama as llama.cpp does, with a BPE tokenizer of a few letters."""
    config, weights = model.config, {name: value.float().numpy() for name, value in model.state_dict().items()}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(LETTERS)
    writer.add_token_types([3, 3, 3] + [1] * (len(LETTERS) - 3))
    writer.add_token_merges(["a b", "Ġ a"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    parts |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    parts |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for layer in range(config.num_hidden_layers):
        names |= {f"model.layers.{layer}.{own}": f"blk.{layer}.{other}" for own, other in parts.items()}
    for own, other in names.items():
        value = weights[f"{own}.weight"]
        if other.endswith(("attn_q", "attn_k")):  # llama.cpp turns pairs of dimensions, not halves
            heads = config.num_attention_heads if other.endswith("q") else config.num_key_value_heads
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        writer.add_tensor(f"{other}.weight", np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": 1, "eos_token_id": 2}
    config = LlamaConfig(vocab_size=len(LETTERS), max_position_embeddings=64, initializer_range=0.3, **shape, **ids)
    return LlamaForCausalLM(config).eval()


@torch.inference_mode()
def test_a_gguf_is_unpacked_once_into_the_same_model(model, tmp_path):
    (tmp_path / "packed").mkdir()
    pack(tmp_path / "packed" / "small.gguf", model)
    folder = external_language_model(str(tmp_path / "packed"), cache=tmp_path / "cache")
    assert folder.parent == tmp_path / "cache" / "external_lm" and (folder / "model.safetensors").is_file()
    unpacked, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([[1, 3, 4, 5, 6, 11, 3]])
    assert torch.allclose(unpacked(ids).logits, model(ids).logits, atol=1e-5)
    assert tokenizer("ab a", add_special_tokens=False).input_ids == [LETTERS.index("ab"), LETTERS.index("Ġa")]
    made = (folder / "model.safetensors").stat().st_mtime_ns
    assert external_language_model(str(tmp_path / "packed" / "small.gguf"), cache=tmp_path / "cache") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == made


def test_what_is_no_gguf_is_named(tmp_path, monkeypatch):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF nothing behind it")
    with pytest.raises(ValueError, match="transformers cannot read .*broken.gguf as the GGUF of a language model: "):
        external_language_model(str(tmp_path / "broken.gguf"), cache=tmp_path / "cache")
    (tmp_path / "other.gguf").write_bytes(b"")
    with pytest.raises(ValueError, match="has 2 .gguf files; give one of them"):
        external_language_model(str(tmp_path), cache=tmp_path / "cache")
    monkeypatch.setattr("evoslm.training.joint.external.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package gguf, .*: pip install evoslm\[gguf\]"):
        external_language_model(str(tmp_path / "broken.gguf"), cache=tmp_path / "cache")


def test_broken_files_of_all_kinds_end_in_one_sentence_and_leave_no_model(model, tmp_path):
    pack(tmp_path / "whole.gguf", model)
    whole = (tmp_path / "whole.gguf").read_bytes()
    (tmp_path / "whole.gguf").unlink()
    changed = np.random.default_rng(1)
    files = {f"cut-{end}": whole[:end] for end in (4, 100, 800, 2000, len(whole) // 2, len(whole) - 1)}
    files["another kind"] = whole.replace(b"llama", b"zzzzz", 1)
    files["a count that is too large"] = whole[:8] + b"\xff" * 16 + whole[24:]
    files["a length that is too large"] = whole[:24] + b"\xff" * 8 + whole[32:]
    for number in range(6):  # where numbers and names stand; what is still read must be a model
        bytes_ = np.frombuffer(whole, np.uint8).copy()
        bytes_[changed.integers(24, 1000, 3)] = changed.integers(0, 256, 3)
        files[f"bytes-{number}"] = bytes_.tobytes()
    read = set()
    for name, content in files.items():
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(content)
        try:
            read.add(external_language_model(str(path), cache=tmp_path / "cache"))
        except ValueError as error:
            assert f"transformers cannot read {path} as the GGUF" in str(error) and len(str(error).splitlines()) == 1
        else:
            assert name.startswith("bytes")
        path.unlink()
    kept = {path.parent for path in (tmp_path / "cache" / "external_lm").glob("gguf-*/stage.json")}
    assert kept == read and all(AutoModelForCausalLM.from_pretrained(folder) for folder in read)


def test_what_this_machine_lacks_is_not_said_of_the_file(model, tmp_path, monkeypatch):
    pack(tmp_path / "small.gguf", model)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", "small.gguf")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", refuse)
    with pytest.raises(PermissionError):
        external_language_model(str(tmp_path / "small.gguf"), cache=tmp_path / "cache")
