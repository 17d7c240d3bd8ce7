"""Texts of gifts and queries as vectors."""

from gifty.catalog.embeddings.concepts import ConceptLexicon, NoConcepts, OntologyConcepts
from gifty.catalog.embeddings.local import LocalEmbedder
from gifty.catalog.embeddings.protocol import Embedder, EmbeddingFailed, GiftText, Vectors

__all__ = [
    "ConceptLexicon",
    "Embedder",
    "EmbeddingFailed",
    "GiftText",
    "LocalEmbedder",
    "NoConcepts",
    "OntologyConcepts",
    "Vectors",
]
