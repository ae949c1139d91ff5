"""What the chain says and what follows from it, as values and functions without input or output."""
