"""Aligners by name.

"pocketsphinx", "ctc:MODEL" or "textgrid:FOLDER" -> [`load_aligner`] -> an [`Aligner`]. Each is imported when it is
asked for: what one of them needs, the others need not have.
"""

from pathlib import Path

from ....models.hub_commit import find_commit
from .alignment import Aligner


def load_aligner(aligner: str, min_score: float | None = None) -> Aligner:
    """
    Make an aligner from its name.

    Args:
        aligner (`str`):
            `"pocketsphinx"`; `"ctc:MODEL"` with a folder or a name on the Hub, which `@` and a revision may follow;
            `"textgrid:FOLDER"` with the folder of TextGrids.
        min_score (`float`, *optional*):
            A transcript with a lower score is refused. Defaults to the aligner's own; TextGrids have no score.

    Raises:
        `ValueError`: If there is no such aligner.
        `FileNotFoundError`: If its model or folder cannot be found.
    """
    kind, _, place = aligner.partition(":")
    options = {} if min_score is None else {"min_score": min_score}
    if kind == "pocketsphinx" and not place:
        from .pocketsphinx import PocketSphinxAligner

        return PocketSphinxAligner(**options)
    if kind == "ctc" and place:
        from .ctc import CtcAligner

        name, _, revision = (place, "", "") if Path(place).exists() else place.partition("@")
        return CtcAligner.from_pretrained(name, **options, revision=revision or None)
    if kind == "textgrid" and place:
        from .textgrid import TextGridAligner

        return TextGridAligner(place)
    raise ValueError(f"Unknown aligner {aligner!r}; choose pocketsphinx, ctc:MODEL or textgrid:FOLDER.")


def pin_aligner(aligner: str) -> str:
    """
    The same aligner, with the commit of its model where that comes from the Hub: `"ctc:user/name@..."`.

    Raises:
        `FileNotFoundError`: If there is no such model or revision, or the Hub cannot be asked.
    """
    kind, _, place = aligner.partition(":")
    if kind != "ctc" or not place or Path(place).exists():
        return aligner
    name, _, revision = place.partition("@")
    return f"{kind}:{name}@{find_commit(name, revision or None, 'model')}"
