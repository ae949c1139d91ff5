"""wallet-manager owns the only keys and is the only signer and sender: wallets, sends, books.

It never talks to a node and never signs bytes that it did not build from an intent itself.
"""
