"""The HTTP core: declared endpoints, and everything around them that no handler should have to think of."""
