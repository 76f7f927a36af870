"""Imports that wait: a row, a job, and for lists of addresses or names the list itself."""
