"""Transcripts of recordings, of utterances, and of what vocoders make of a run's units, and how many words are wrong.

In: sound, with or without the texts that are said in it. Out: transcripts, and word and character error rates.
"""
