"""Data to weights: tokenizer and decoder-only model of our own, from scratch, on CPU or GPU.

`dataset` turns labelled records into examples, `synthesize` makes more from the taxonomy, `fit` trains.
Imported by the command line alone; nothing in the pipeline knows it.
"""
