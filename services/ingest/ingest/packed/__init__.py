"""The packed ledger: sorted blocks of hashes, one row a step, and fingerprints in memory."""
