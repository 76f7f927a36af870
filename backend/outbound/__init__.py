"""Requests to servers elsewhere: the only way out for addresses that a person gives.

Whoever names an address makes this server connect to it, so it must reach nothing that only this server can reach.
Used by the processes that do imports, never by the web server.
"""
