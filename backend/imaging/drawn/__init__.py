"""Pictures of what isn't one: sounds as mel spectrograms, movements as tracks (``docs/decisions/0018``).

``decoding`` draws them where it would decode a picture, so thumbnails, previews, training and predictions show the
same pixels.
"""
