"""How good extraction is: suites run through the very pipeline, predictions scored against gold.

Imports the pipeline; nothing imports it but the command line.
"""
