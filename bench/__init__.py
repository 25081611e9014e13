"""How fast Tollgate is on this machine, beside the ceilings of the same machine in the same run."""
