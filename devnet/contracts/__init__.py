"""Smart contracts played by Python: the same calls, logs, reverts and energy, without a machine."""
