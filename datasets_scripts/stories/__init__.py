"""The generated corpora: English stories that need no data.

In: a seed and a language. Out: [`~evoslm.datasets_scripts.text.passages.Passage`], one a story.
"""

from collections.abc import Iterator

from ..text.passages import Passage


def generate_stories(stories: str, max_words: int, seed: int, lexicon: str | None = None) -> Iterator[Passage]:
    """
    Generate stories.

    Args:
        stories (`str`): Their language: `"simple"` (small models learn it almost whole) or `"rich"`.
        max_words (`int`): The corpus ends before the story that would exceed it.
        seed (`int`): Another seed gives other stories.
        lexicon (`str`, *optional*): A file of words and sentences of one's own for simple stories.

    Raises:
        `ValueError`: If `max_words` is too small for one story, or the file is not of the right form.
        `FileNotFoundError`: If there is no such file.
    """
    if stories == "simple":
        from .simple import generation as simple

        return simple.generate_stories(max_words, seed, lexicon)
    from .rich import generation as rich

    return rich.generate_stories(max_words, seed)
