"""Named experiments and the ledger of their results."""
