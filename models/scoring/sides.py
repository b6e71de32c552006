"""What a minimal pair consists of: the names that its columns begin with."""

SIDES = ("positive", "negative")
"""What a good language model finds likelier, and what it is compared with."""
PARTS = ("context", *SIDES)
"""The sides, and what both of them continue where a pair has a context."""
