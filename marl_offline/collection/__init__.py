"""Making data: online learners, and the data sets recorded from their policies."""
