"""Pixels: from a file's bytes to exactly what the network sees.

Used by the web process (thumbnails, batch preview, predictions) and by the
engine (training, evaluation, export check), so that preview, training and
prediction can't drift apart. Needs Pillow and numpy, never torch.
"""
