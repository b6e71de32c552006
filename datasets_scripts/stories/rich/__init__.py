"""The rich stories: twenty topics, plots, names, a long tail of words; more than small models learn.

In: a seed. Out: [`~evoslm.datasets_scripts.text.passages.Passage`], one a story.
"""
