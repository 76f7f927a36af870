"""``tellapart upload``: a folder or an archive into a dataset, by the same calls as the page."""
