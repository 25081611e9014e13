"""The deduper, the aggregator and the rating stage as they are, in virtual time.

One seed is one run: `scenario.py` says what clients, nodes and operators do and what breaks,
`world.py` lets it happen, `truth.py` is the dictionary, `checks.py` compares, `shrink.py` makes a
failing run small. `python -m tests.simulation` runs many.
"""
