"""Minimal pairs that somebody else made and recorded.

In: the folders of ZeroSpeech 2021, datasets of the Hub, sound files. Out: rows as the project's own items have them.
"""
