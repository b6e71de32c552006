"""sBLIMP, complete by itself: `evaluate.load` takes this folder."""
