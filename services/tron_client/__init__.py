"""tron-client owns the sight of the chain: blocks followed one by one, transfers, transactions' fate.

It alone talks to nodes. It keeps no keys and signs nothing, and it never decides what money means:
it tells others what happened on chain, each thing once, and how sure that is.
"""
