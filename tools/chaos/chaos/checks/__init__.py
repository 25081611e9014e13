"""The checks at the end: pure comparisons, each a list of sentences about what is wrong."""
