"""Units that something else makes: a function, an adapter of a package, or a table of ids.

In: `--units`, and what it says of itself. Out: a quantizer for the stages of units (`quantizers.py`), once it is known
that its ids are ids, are in range, fit the audio and are the same the second time; and the audio to make a table of.
"""
