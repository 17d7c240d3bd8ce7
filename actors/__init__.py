"""What the service does by itself: the actors and the library they stand on."""
