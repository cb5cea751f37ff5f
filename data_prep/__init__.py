"""Images and labels in, aligned LMDBs and a ``dataset.toml`` out."""
