"""What a tokenizer of speech costs a language model, and why: a diagnosis of any, beside anchors that are kept.

In: tokenizers, as `--units` takes them. Out: a page, a figure and JSON, which say how much of the way from text down
to a model of its units is alphabet, how much length and how much variability.
"""
