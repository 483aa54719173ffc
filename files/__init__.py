"""Where bytes lie: local files, gs://, downloads, files written whole, kinds of files."""
