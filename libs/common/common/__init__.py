"""What every Tollgate service shares."""
