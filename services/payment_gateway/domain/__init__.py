"""What an invoice, a deposit and a delivery are: values and rules, no input or output."""
