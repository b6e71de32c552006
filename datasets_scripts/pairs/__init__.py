"""Minimal pairs: sWUGGY, sBLIMP and Topic-SC.

In: word counts, grammars and passages. Out: [`PairText`]s, and their forms in text, phones and audio.
"""
