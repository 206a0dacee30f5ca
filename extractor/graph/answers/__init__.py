"""The answers people come for: features, compare, insights, coverage and view, each read from a graph.

In: a graph open for reading. Out: plain records, files or a page. Nothing here writes to the graph.
"""
