"""Phones outside of any corpus: in other alphabets, on the frames of an encoder, in syllables, with stress.

In: phones with times, or symbols that somebody else wrote. Out: phones of this project, one a frame or a syllable.
"""
