"""Inside a joint model: does a spoken word look at its own text, and is it that text half way up?

test utterances -> attention from each unit to the text in front of it, and what each layer would say after each spoken
word (logit lens) -> shares by utterance, of the head and of the layer that are chosen on every second utterance and
counted on the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from ...datasets_scripts.mixing.sequences import JointUtterance
from ...datasets_scripts.mixing.switching import SPEECH, TEXT
from ...models.tokenizers.joint import UNIT_MARK, split_segments

NO_WORD = -1


@dataclass(frozen=True)
class WordsOfTokens:
    """
    A joint sequence whose tokens know their words.

    Args:
        ids (`list[int]`): The sequence, `<s>` in front.
        text (`np.ndarray` of shape `(len(ids),)`): The number of the word that a token of text is of, else `NO_WORD`.
        speech (`np.ndarray` of shape `(len(ids),)`): The same of a token of units; a piece of the units of two words
            is of the one that has most of it.
    """

    ids: list[int]
    text: np.ndarray
    speech: np.ndarray


def words_of_tokens(tokenizer: PreTrainedTokenizerBase, utterance: JointUtterance, content: str) -> WordsOfTokens:
    """
    Tokenise a content of a whole utterance and say which word each token is of.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): A joint one.
        utterance ([`JointUtterance`]): The utterance.
        content (`str`): What its methods `text`, `speech` or `concatenate` write.
    """
    encoded = tokenizer(content, return_offsets_mapping=True)
    ids = encoded.input_ids
    of_text, of_speech = (np.full(len(ids), NO_WORD) for _ in range(2))
    tokens = tokenizer.convert_ids_to_tokens(ids)
    for segment in split_segments(tokenizer, ids):
        places = range(segment.start, segment.end)
        if segment.modality == SPEECH:
            ends = np.cumsum([tokens[place].count(UNIT_MARK) for place in places])
            for place, start, end in zip(places, [0, *ends], ends):
                of_speech[place] = np.bincount(utterance.unit_words[start:end]).argmax()
        else:
            start = content.index(" ".join(utterance.words))
            word_ends = start - 1 + np.cumsum([len(word) + 1 for word in utterance.words])
            for place in places:
                of_text[place] = np.searchsorted(word_ends, encoded.offset_mapping[place][1])
    return WordsOfTokens(ids, of_text, of_speech)


def attention_to_own_text(
    model_dir: Path, utterances: Sequence[JointUtterance], device: str = "cpu"
) -> dict[str, list[float]]:
    """
    How often a unit that follows the text of its utterance looks most at its own word.

    Of each utterance, the share of its unit tokens for which, of all tokens of the text, the one with the most
    attention is of their own word: for the head where this is so most often in every second utterance, counted in the
    others (`best_head`); for heads in the mean (`all_heads`). What a rule finds that looks at less: the token of text
    that lies as far into the text as the unit lies into the speech (`same_place`), or any token (`any_token`).

    Args:
        model_dir (`Path`): A joint model's folder.
        utterances (`Sequence[JointUtterance]`): At least two utterances.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `dict[str, list[float]]`: Shares of the utterances that count.
    """
    model = AutoModelForCausalLM.from_pretrained(model_dir, attn_implementation="eager", use_safetensors=True)
    model, tokenizer = model.to(device).eval(), AutoTokenizer.from_pretrained(model_dir)
    heads, rules = [], []
    for utterance in utterances:
        read = words_of_tokens(tokenizer, utterance, utterance.concatenate(TEXT))
        text, units = np.flatnonzero(read.text != NO_WORD), np.flatnonzero(read.speech != NO_WORD)
        with torch.inference_mode():
            attentions = model(torch.tensor([read.ids], device=device), output_attentions=True).attentions
        looked_at = [layer[0][:, units][:, :, text].argmax(-1).cpu().numpy() for layer in attentions]
        own = read.text[text][np.stack(looked_at)] == read.speech[units]
        heads.append(own.mean(-1))
        place = np.arange(len(units)) * len(text) // len(units)
        same = read.text[text][place] == read.speech[units]
        any_token = (read.text[text][None] == read.speech[units][:, None]).mean()
        rules.append((same.mean(), any_token))
    heads, rules = np.array(heads), np.array(rules)
    layer, head = np.unravel_index(heads[::2].mean(0).argmax(), heads.shape[1:])
    return {
        "best_head": heads[1::2, layer, head].tolist(),
        "all_heads": heads[1::2].mean((1, 2)).tolist(),
        "same_place": rules[1::2, 0].tolist(),
        "any_token": rules[1::2, 1].tolist(),
        "layer": [int(layer) + 1],
        "head": [int(head) + 1],
    }


def text_of_spoken_words(
    model_dir: Path, utterances: Sequence[JointUtterance], device: str = "cpu"
) -> dict[str, list[float]]:
    """
    How often a layer, read by the output layer (logit lens), says the text of a word that has just been spoken.

    Of each utterance of speech alone, the share of its words behind whose last unit the likeliest of all tokens of
    text is the first of that word: at the layer where this is so most often in every second utterance, counted in the
    others (`best_layer`), and at the last (`last_layer`). What a rule finds that looks at no speech: the commonest
    first token of the first half's words (`commonest`).

    Args:
        model_dir (`Path`): A joint model's folder.
        utterances (`Sequence[JointUtterance]`): At least two utterances.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `dict[str, list[float]]`: Shares of the utterances that count; `by_layer`, the mean of each layer, that of the
            embeddings first; `layer`, the one that was chosen, counted from the embeddings as 0.
    """
    model = AutoModelForCausalLM.from_pretrained(model_dir, use_safetensors=True).to(device).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    is_text = torch.tensor(_tokens_of_text(tokenizer), device=device)
    layers, firsts = [], []
    for utterance in utterances:
        read = words_of_tokens(tokenizer, utterance, utterance.speech())
        written = words_of_tokens(tokenizer, utterance, utterance.text())
        spoken = np.unique(read.speech[read.speech != NO_WORD])
        ends = [int(np.flatnonzero(read.speech == word)[-1]) for word in spoken]
        first = np.array([written.ids[int(np.flatnonzero(written.text == word)[0])] for word in spoken])
        with torch.inference_mode():
            said = _say_by_layer(model, torch.tensor([read.ids], device=device), ends, is_text)
        layers.append((said == first).mean(1))
        firsts.append(first)
    layers = np.array(layers)
    chosen = int(layers[::2].mean(0).argmax())
    commonest = np.bincount(np.concatenate(firsts[::2])).argmax()
    return {
        "best_layer": layers[1::2, chosen].tolist(),
        "last_layer": layers[1::2, -1].tolist(),
        "commonest": [float((first == commonest).mean()) for first in firsts[1::2]],
        "by_layer": layers.mean(0).tolist(),
        "layer": [chosen],
    }


def _tokens_of_text(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    reserved = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    vocabulary = tokenizer.get_vocab().items()
    return sorted(index for token, index in vocabulary if index not in reserved and UNIT_MARK not in token)


def _say_by_layer(model: torch.nn.Module, ids: torch.Tensor, places: list[int], allowed: torch.Tensor) -> np.ndarray:
    """The likeliest of the allowed ids behind each place, by layer: of shape (layers + 1, places)."""
    states = model(ids, output_hidden_states=True).hidden_states
    said = []
    for number, state in enumerate(states):
        state = state[0, places]
        # The last comes with its normalisation done.
        state = state if number == len(states) - 1 else model.model.norm(state)
        said.append(allowed[model.lm_head(state)[:, allowed].argmax(-1)].cpu().numpy())
    return np.stack(said)
