"""The hand on the chain: its clock, its money, its contract, its failures. Not part of TRON."""
