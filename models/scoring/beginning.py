"""The token that every scored sequence starts with: something has to stand before the first token that is predicted.

model, tokenizer, what the user said -> an id and where it is from. The order is that of lm-evaluation-harness, so that
a model gets the same log-likelihoods here and there.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Beginning:
    """
    What every sequence starts with.

    Args:
        token_id (`int`): Its id.
        source (`str`): What it is and who says so: `"bos_token_id, as given"`, or the beginning- or end-of-sequence
            token of the tokenizer or the model.
    """

    token_id: int
    source: str


def find_beginning(config, tokenizer=None, bos_token_id: int | None = None) -> Beginning:
    """
    What every sequence starts with: the id that is given, else the tokenizer's beginning-of-sequence token, else its
    end-of-sequence token (what ends one text stands before the next one in training), else those of the model's
    configuration, where a class may have put its defaults.

    Args:
        config (`PretrainedConfig`): The model's configuration.
        tokenizer (`PreTrainedTokenizerBase`, *optional*): Its tokenizer.
        bos_token_id (`int`, *optional*): The id, where the user knows better.

    Returns:
        [`Beginning`]: The id and where it is from.

    Raises:
        `ValueError`: If there is no such token.
    """
    if bos_token_id is not None:
        return Beginning(bos_token_id, "bos_token_id, as given")
    owners = [("the model's", config), ("the model's", config.get_text_config())]
    if tokenizer is not None:
        owners.insert(0, ("the tokenizer's", tokenizer))
    for whose, owner in owners:
        for name, key in (("beginning-of-sequence", "bos_token_id"), ("end-of-sequence", "eos_token_id")):
            found = getattr(owner, key, None)
            if isinstance(found, (list, tuple)):  # several ends, the first of them the text's
                found = next(iter(found), None)
            if found is not None:
                return Beginning(found, f"{whose} {name} token")
    raise ValueError(
        "There is neither a beginning- nor an end-of-sequence token in tokenizer and model: give bos_token_id "
        "(`evoslm score --bos_token_id`), the id of what stands before a text."
    )
