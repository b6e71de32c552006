"""Topic-SC: which ending belongs to a context.

In: passages, or recordings of them. Out: `PairText`s whose endings no rule about shared words tells apart.
"""
