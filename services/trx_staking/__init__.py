"""trx-staking owns stake orders, and says what an address has staked and which resources it has.

It never keeps keys, never sends tokens and never decides that an order failed before wallet-manager
has said so for good.
"""
