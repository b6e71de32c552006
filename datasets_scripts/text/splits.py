"""Which documents are for training, which for validation and test, decided by a seed and their names.

names -> [`seeded_rank`] -> an order that is random but for the seed -> [`draw_splits`] -> the split of each name.
"""

import hashlib
from collections.abc import Iterable, Sequence


def seeded_rank(seed: int, purpose: str, name: str) -> bytes:
    """A key that depends on the arguments alone: names sorted by it are shuffled, in the same way in any company."""
    return hashlib.blake2b(f"{seed}/{purpose}/{name}".encode(), digest_size=16).digest()


def draw_splits(
    names: Iterable[str],
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    held_out: Sequence[str] = ("validation", "test"),
) -> dict[str, str]:
    """
    Share names out among the splits.

    Args:
        names (`Iterable[str]`): Names of documents, of sections or of recordings, more than there are to be held out.
        seed (`int`): Seed.
        validation_fraction (`float`): Share of them for validation; it is at least one.
        test_fraction (`float`): Share of them for test; it is at least one.
        held_out (`Sequence[str]`, *optional*, defaults to `("validation", "test")`): The splits beside `"train"`.

    Returns:
        `dict[str, str]`: `"train"`, `"validation"` or `"test"` of each name; at least one is for training.
    """
    ranked = sorted(names, key=lambda name: seeded_rank(seed, "split", name))
    num_test = max(1, round(test_fraction * len(ranked))) if "test" in held_out else 0
    num_validation = max(1, round(validation_fraction * len(ranked))) if "validation" in held_out else 0
    splits = ["validation"] * min(num_validation, len(ranked) - num_test - 1) + ["test"] * num_test
    splits += ["train"] * (len(ranked) - len(splits))
    return dict(zip(ranked, splits))
