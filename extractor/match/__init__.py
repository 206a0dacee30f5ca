"""Which listings are the same product: listings in; clusters, and "same as" decisions with their evidence out.

    listings -> tokens -> table -> block -> features + words -> score -> veto -> cluster -> same | ask | different

`resolve.py` calls these in order; `fit.py` makes a scorer of labelled pairs. Knows no graph, no files but those of
scorers and of labelled pairs, and no engine but the one that is handed in for the pairs that nobody can tell.
"""
