"""What all REST endpoints share: who may do what, how bodies are read, and how errors are told."""
