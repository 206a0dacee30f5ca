"""The run folder, RUN_DIR: what a run writes, and how it is read back.

In: feed records and Outcomes, through `Journal`.
Out: the files named below, and from them Outcomes and the manifest again.
Knows nothing of models, prompts or what a value means.
"""

from extractor.journal.files import (
    INDEX,
    MANIFEST,
    OUTCOMES,
    REJECTIONS,
    SUMMARY,
    TABLE,
    replacing,
    sink_errors,
)
from extractor.journal.manifest import read_manifest
from extractor.journal.run_folder import Journal, Summary, read_outcomes

__all__ = [
    "INDEX",
    "MANIFEST",
    "OUTCOMES",
    "REJECTIONS",
    "SUMMARY",
    "TABLE",
    "Journal",
    "Summary",
    "read_manifest",
    "read_outcomes",
    "replacing",
    "sink_errors",
]
