"""The simple stories: a small language that models of the default size learn almost whole.

In: a seed, and a file of words and sentences. Out: [`~evoslm.datasets_scripts.text.passages.Passage`], one a story.
"""
