"""The space between two texts that are tokenised separately: it is the second one's.

Most tokenizers have pieces with a space in front. As in lm-evaluation-harness, a space at the end of the first text is
therefore moved to the second, and one that is missing is put there. A tokenizer that begins every text with a space of
its own needs none, and would read two where one is written.
"""


def needs_space(tokenizer) -> bool:
    """
    Say whether two texts, tokenised separately, read as one word, and a space in front keeps them apart.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): Any tokenizer.

    Returns:
        `bool`: Whether [`separate`] puts a space there.
    """
    alone, spaced = tokenizer(["a", " a"], add_special_tokens=False, return_attention_mask=False)["input_ids"]
    if alone == spaced or tokenizer.unk_token_id in spaced:  # its symbols lie apart anyway, or it knows no space
        return False
    return tokenizer.decode(alone + alone, clean_up_tokenization_spaces=False) == "aa"


def separate(context: str, content: str, with_space: bool) -> tuple[str, str]:
    """
    Give the space between a context and what continues it to the latter.

    Args:
        context (`str`): What comes first; where it is empty, nothing is changed.
        content (`str`): What continues it.
        with_space (`bool`): What [`needs_space`] says of the tokenizer.

    Returns:
        `tuple[str, str]`: Both, as they are to be tokenised.
    """
    if not context:
        return context, content
    bare = context.rstrip() if with_space else context.rstrip(" ")
    if not with_space:
        content = content.lstrip(" ")
    elif content:
        content = (context[len(bare) :] or ("" if content[0].isspace() else " ")) + content
    return bare, content
