"""`make mutants`: each protection is removed in turn, and a test has to notice."""
