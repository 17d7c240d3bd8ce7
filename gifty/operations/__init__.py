"""What keeps the service itself in order: the messages its actors could not handle."""
