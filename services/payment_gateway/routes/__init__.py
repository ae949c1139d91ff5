"""payment-gateway's routes: invoices, webhooks, and aliases of what its siblings answer."""
