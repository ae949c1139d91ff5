"""Typed clients of the six services, one module each, over one careful HTTP caller."""
