"""The image-set format: Parquet shards per split with `dataset.json` beside them; reading, writing, streaming."""
