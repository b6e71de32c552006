"""Entities as what a language model writes behind an utterance, in tokens that are new to it.

entities -> [`AnswerFormat.answer_ids`] -> ids behind the prompt's; what was generated -> [`AnswerFormat.read`] ->
`"PLACE: new york; PERSON: anna"`, the form that `metrics/entity_f1` scores.

A prompt ends with `<entities>`, and each label is one token. A model of text or a joint one writes phrases in its own
pieces; one of units has no letters, and gets one token for each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from ..modalities import JOINT
from ..tokenizers.joint import TO_TEXT_TOKEN
from .contents import SPEECH, inputs_of

START_TOKEN = "<entities>"
"""What stands between an utterance and its entities."""
NONE_TOKEN, NONE = "<no_entities>", "none"
"""What is written where there are none, as a token and as text: stopping at once is no answer."""
SEPARATOR = "; "
"""What stands between two entities when they are written as text."""


@dataclass(frozen=True)
class AnswerFormat:
    """
    How entities are written.

    Args:
        modality (`str`, *optional*): The model's; `None` of a model that is not ours.
        labels (`tuple[str, ...]`): The labels, each of which is one token.
        characters (`tuple[str, ...]`): Characters that are one token each; none where the model writes text.
    """

    modality: str | None
    labels: tuple[str, ...]
    characters: tuple[str, ...] = ()

    @classmethod
    def of_training(cls, modality: str | None, labels: Sequence[str], phrases: Iterable[str]) -> "AnswerFormat":
        """
        The format of a task.

        Args:
            modality (`str`, *optional*): The model's.
            labels (`Sequence[str]`): The labels.
            phrases (`Iterable[str]`): Phrases of the training split, whose characters a model of units learns.
        """
        has_text = inputs_of(modality) != (SPEECH,)
        return cls(modality, tuple(labels), () if has_text else tuple(sorted(set("".join(phrases)))))

    @property
    def tokens(self) -> list[str]:
        """The tokens that are new to the model, in the order of their ids."""
        return [START_TOKEN, NONE_TOKEN, *map(_label_token, self.labels), *map(_character_token, self.characters)]

    def grow(self, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """
        Add the new tokens to a tokenizer.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): Changed in place.

        Returns:
            `list[int]`: Their ids.

        Raises:
            `ValueError`: If it has one of them.
        """
        known = [token for token in self.tokens if token in tokenizer.get_vocab()]
        if known:
            raise ValueError(
                f"The vocabulary has {known[0]} already: the model was fine-tuned on entities before; take its base."
            )
        # Not special: these are shown when decoded, as the tokens of modalities are.
        tokenizer.add_tokens([AddedToken(token, normalized=False) for token in self.tokens])
        return tokenizer.convert_tokens_to_ids(self.tokens)

    def suffix_ids(self, tokenizer: PreTrainedTokenizerBase, kind: str) -> list[int]:
        """What stands behind an utterance in a prompt: in a joint model's speech the switch to text, and the start."""
        switch = [TO_TEXT_TOKEN] if self.modality == JOINT.name and kind == SPEECH else []
        return tokenizer.convert_tokens_to_ids([*switch, START_TOKEN])

    def answer_ids(self, tokenizer: PreTrainedTokenizerBase, entities: Iterable[tuple[str, str]]) -> list[int]:
        """
        Write entities, without the token that ends the sequence.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): The grown one.
            entities (`Iterable[tuple[str, str]]`): Label and phrase of each.

        Returns:
            `list[int]`: Their ids. A character that the model has no token for is left out by models of units, and
            unknown to others.
        """
        entities = list(entities)
        ids: list[int] = [] if entities else [tokenizer.convert_tokens_to_ids(NONE_TOKEN)]
        for label, phrase in entities:
            ids.append(tokenizer.convert_tokens_to_ids(_label_token(label)))
            ids += self._phrase_ids(tokenizer, phrase)
        return ids

    def read(self, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
        """
        Write what a model generated as text, whether it is well formed or not.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): The grown one.
            ids (`Sequence[int]`): Ids, without the one that ended them.

        Returns:
            `str`: `"LABEL: phrase; LABEL: phrase"`, or `"none"`; what stands in front of the first label has none.
        """
        if list(ids) == [tokenizer.convert_tokens_to_ids(NONE_TOKEN)]:
            return NONE
        label_of = {tokenizer.convert_tokens_to_ids(_label_token(label)): label for label in self.labels}
        parts: list[tuple[str | None, list[int]]] = [(None, [])]
        for index in ids:
            if index in label_of:
                parts.append((label_of[index], []))
            else:
                parts[-1][1].append(int(index))
        written = [(label, self._phrase(tokenizer, own)) for label, own in parts if label is not None or own]
        return SEPARATOR.join(phrase if label is None else f"{label}: {phrase}" for label, phrase in written)

    def _phrase_ids(self, tokenizer: PreTrainedTokenizerBase, phrase: str) -> list[int]:
        if self.characters:
            known = [_character_token(character) for character in phrase if character in self.characters]
            return tokenizer.convert_tokens_to_ids(known)
        # Byte-level vocabularies write a word with the space in front of it; ours put one there by themselves.
        return tokenizer(f" {phrase}" if self.modality is None else phrase, add_special_tokens=False)["input_ids"]

    def _phrase(self, tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
        if not self.characters:
            return tokenizer.decode(ids, skip_special_tokens=True).strip()
        names = {_character_token(character): character for character in self.characters}
        return "".join(names.get(token, token) for token in tokenizer.convert_ids_to_tokens(ids)).strip()


def _label_token(label: str) -> str:
    return f"<entity:{label}>"


def _character_token(character: str) -> str:
    return f"<text:{character}>"
