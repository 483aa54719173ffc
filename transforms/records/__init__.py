"""TFRecords: what a record holds, files and shards of them, their description."""
