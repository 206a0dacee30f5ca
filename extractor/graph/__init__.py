"""Outcomes of runs become a graph: statements with their origin, in a store, and what is read from it."""
