"""Pre-training of one language model, on one device or many.

In: ids of utterances, a shape and a protocol. Out: a folder for `from_pretrained`, its points and its log.
"""
