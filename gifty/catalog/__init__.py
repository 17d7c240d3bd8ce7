"""Gifts of shops: sources, ingestion, categories, embeddings and search."""
