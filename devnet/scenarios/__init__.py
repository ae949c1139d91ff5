"""What can be made to go wrong on purpose: a registry of scenarios, and who lets them strike."""
