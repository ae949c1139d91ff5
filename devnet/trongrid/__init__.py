"""The v1 facade of a public gateway: histories by address and events, derived from the blocks."""
