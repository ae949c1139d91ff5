"""wallet-manager's routes: wallets and sends, reports of the books, recovery."""
