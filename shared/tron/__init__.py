"""TRON as bytes: addresses, keys, transactions, blocks and TRC-20 calls, as pure functions.

Nothing here reads a clock, a file or a network. What is built by ``transaction`` is read back by
``decoding``, which shares no code with it, before anything is signed.
"""
