"""What every domain stands on; imports no domain."""
