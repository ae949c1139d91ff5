"""usdt-manager owns what USDT means: balances, what a transfer needs, and transfers handed on.

It never keeps keys and never keeps a promise of money out: wallet-manager signs, payout-router promises.
"""
