"""Resumable uploads: the tus 1.0 protocol, for archives and large files."""
