"""What lies across the features: the first page, and the six steps every page shows."""
