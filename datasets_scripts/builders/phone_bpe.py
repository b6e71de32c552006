"""Phone-BPE: the phones of each utterance, to be joined into pieces that may cross words.

utterance shards -> column `phones` -> content. The content is that of Phone-Raw; the tokenizer makes the difference.
"""

from .base import conditions
from .phone_raw import PhoneRaw


class PhoneBpe(PhoneRaw):
    """The dataset of Phone-BPE (2412.17048, Section 3.1)."""

    BUILDER_CONFIGS = conditions("phone_bpe", rates=False)
