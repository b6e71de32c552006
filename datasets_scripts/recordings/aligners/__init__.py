"""Forced alignment by PocketSphinx, a CTC model or the TextGrids of the Montreal Forced Aligner.

In: samples and the transcript. Out: words and phones with their times ([`Alignment`]), or one sentence why not.
"""
