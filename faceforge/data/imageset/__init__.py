"""Image sets: Parquet shards for each split and a `dataset.json`; reading, writing, streaming."""
