"""Chaos: faults on the real processes and servers, and proof that nothing was lost."""
