"""What a real API server refuses of built-in kinds, and the words it has for it."""
