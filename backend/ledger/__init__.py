"""The ledger of jobs: the database holds what is to be done and who does it; the broker only notifies."""
