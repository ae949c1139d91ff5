"""payment-gateway's use cases: invoices, deposits, webhooks, and what the siblings answer."""
