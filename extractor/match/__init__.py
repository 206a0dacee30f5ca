"""Which listings are the same product: listings in, "same as" decisions with their evidence and clusters out.

    listings -> tokens -> table -> block -> features -> score -> veto -> cluster -> bands

Knows no graph, no files but a scorer's, and no engine but the one that is handed in for the middle band.
"""
