"""What a push asks of the Hub: may this token write there, what is there already, and a collection.

In: prepared repositories and the Hub's client. Out: what differs, or one sentence on why nothing can be pushed.
"""
