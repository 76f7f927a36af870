"""The database: one declarative base, sessions that say whether they may write."""
