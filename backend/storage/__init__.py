"""Bytes at rest: uploaded images under their hash, derived files under ids of ours."""
