"""A TRON node double with real rules: its own genesis, blocks, fees, finality and a USDT contract.

It owns a development chain that anyone may read the keys of. It never speaks to another
network, and it shares no code with the services that are tested against it.
"""
