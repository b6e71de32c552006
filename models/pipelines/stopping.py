"""When a continuation has nothing more to say: a stretch of silence, or a loop.

symbols so far -> [`trailing_loop`], the period of what repeats at their end; seconds of silence at their end.
Runs of equal symbols count once, as a sound of any length is no loop.
"""

from collections.abc import Sequence
from itertools import groupby

SILENCE, REPETITION = "silence", "repetition"
"""Reasons of the end, beside those of [`~evoslm.models.generation.continuation.REASONS`]."""
MAX_SILENCE = 1.0
"""Seconds; pauses between sentences are 0.3 s in synthetic speech, and rarely reach 1 s in what readers record."""
MAX_SOUND = 1.5
"""Seconds of one and the same symbol."""
MIN_ROUNDS = 4
"""How often a loop is gone through before it is one."""
MAX_PERIOD = 60
"""Symbols of the longest loop."""
_LOOP_SECONDS = 8.0


def trailing_loop(symbols: Sequence, min_symbols: int, min_rounds: int = MIN_ROUNDS) -> int | None:
    """
    Find a loop at the end of symbols.

    Args:
        symbols (`Sequence`): Symbols, runs of equal ones once or not.
        min_symbols (`int`): How many symbols the rounds have together at least, so that "no, no, no, no" is speech.
        min_rounds (`int`, *optional*, defaults to 4): How often the loop is gone through at least.

    Returns:
        `int`, *optional*: The shortest period of a loop; `None` where there is none.
    """
    for period in range(1, min(MAX_PERIOD, len(symbols) // min_rounds) + 1):
        length = max(min_rounds * period, min_symbols)
        if length <= len(symbols):
            end = symbols[-length:]
            if end[period:] == end[:-period]:
                return period
    return None


def is_looping_in_frames(symbols: Sequence, frame_rate: float) -> bool:
    """
    Whether symbols of frames end with a loop of sounds, or with one endless sound.

    Args:
        symbols (`Sequence`): A symbol a frame.
        frame_rate (`float`): Frames per second.

    Returns:
        `bool`
    """
    longest = round(MAX_SOUND * frame_rate)
    if len(symbols) >= longest and len(set(symbols[-longest:])) == 1:
        return True
    # Enough frames for the longest loop of sounds that last as long as they do in speech.
    recent = symbols[-round(_LOOP_SECONDS * frame_rate) :]
    return trailing_loop([symbol for symbol, _ in groupby(recent)][:-1], min_symbols=16) is not None
