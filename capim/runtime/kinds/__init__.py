"""What a real API server does to objects of built-in kinds when a client writes them."""
