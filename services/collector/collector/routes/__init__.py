"""The collector's HTTP API, but for the gate's two paths (decisions/gate.py)."""
