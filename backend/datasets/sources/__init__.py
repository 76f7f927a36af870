"""Pictures from elsewhere: lists of addresses, archives by link, folders of the server, buckets, samples."""
