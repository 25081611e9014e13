"""The `tollgate` command. Every command takes --json; exit code 1 means that something is wrong."""
