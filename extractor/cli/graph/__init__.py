"""`extractor graph ...`: one module a topic, each of which adds its commands to the app.

A new topic is a module beside these, named below; its commands stand in the list of jobs (shared.py).
"""

from extractor.cli.graph import answers, cypher, export, history, match, person, push, store
from extractor.cli.graph.shared import app

__all__ = ["answers", "app", "cypher", "export", "history", "match", "person", "push", "store"]
