"""What a wallet, a send and the books are: values and rules, no input or output."""
