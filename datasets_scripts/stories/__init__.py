"""The generated stories, the corpus that needs no data.

In: a number of words and a seed, the grammar and the lists of words in the YAML files. Out: [`Passage`]s.
"""
