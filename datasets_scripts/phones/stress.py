"""Stress for phones that have none: a recogniser's phones and a stressed pronunciation of the same words -> ARPAbet.

recognised `DH IY`, espeak's `DH AH0` -> [`restore_stress`] -> `DH IY0`. The two may differ in any phone; where a vowel
has a partner in the other, it has its stress.
"""

from collections.abc import Sequence

from ...models.phones import VOWELS

_VOWELS = frozenset(VOWELS)
# Costs of pairing: a vowel and a consonant never stand for each other, two vowels often do ("the", "either").
_SAME, _SAME_KIND, _OTHER_KIND, _UNPAIRED = 0.0, 1.0, 9.0, 1.2
# Most vowels that only one of two pronunciations has are weak ones ("history", "family").
_DEFAULT = "0"


def restore_stress(phones: Sequence[str], stressed: Sequence[str]) -> list[str]:
    """
    Give each vowel the stress of its partner in another pronunciation of the same words.

    The two are laid side by side with the fewest changes, vowels only against vowels. A vowel without a partner is
    unstressed.

    Args:
        phones (`Sequence[str]`): ARPAbet without stress.
        stressed (`Sequence[str]`): ARPAbet with stress.

    Returns:
        `list[str]`: `phones`, each vowel with `0`, `1` or `2`.
    """
    partners = _partners([*phones], [phone.rstrip("012") for phone in stressed])
    restored = []
    for phone, partner in zip(phones, partners):
        if phone in _VOWELS:
            phone += stressed[partner][-1] if partner is not None else _DEFAULT
        restored.append(phone)
    return restored


def _partners(phones: list[str], others: list[str]) -> list[int | None]:
    """For each phone the index of the one that stands against it in the cheapest pairing of the two sequences."""
    rows = [[j * _UNPAIRED for j in range(len(others) + 1)]]
    for i, phone in enumerate(phones):
        row = [(i + 1) * _UNPAIRED]
        for j, other in enumerate(others):
            row.append(min(rows[i][j] + _cost(phone, other), rows[i][j + 1] + _UNPAIRED, row[j] + _UNPAIRED))
        rows.append(row)
    partners: list[int | None] = [None] * len(phones)
    i, j = len(phones), len(others)
    while i and j:
        if rows[i][j] == rows[i - 1][j - 1] + _cost(phones[i - 1], others[j - 1]):
            i, j = i - 1, j - 1
            partners[i] = j
        elif rows[i][j] == rows[i - 1][j] + _UNPAIRED:
            i -= 1
        else:
            j -= 1
    return partners


def _cost(phone: str, other: str) -> float:
    if phone == other:
        return _SAME
    return _SAME_KIND if (phone in _VOWELS) == (other in _VOWELS) else _OTHER_KIND
