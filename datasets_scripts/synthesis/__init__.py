"""Speech synthesis with exact times.

In: passages, or phones. Out: 16 kHz audio with the times of words and phones, and shards of utterances.
"""
