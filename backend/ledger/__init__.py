"""The ledger of jobs: the database says what is to be done and who does it; the broker only rings."""
