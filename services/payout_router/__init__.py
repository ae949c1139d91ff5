"""payout-router owns promises of money out: who may promise what, and what became of each promise.

It never keeps keys, never builds a transaction and never decides that a payment failed before
wallet-manager has said so for good.
"""
