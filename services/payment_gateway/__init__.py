"""payment-gateway owns money asked for: invoices, the deposits that pay them, and webhooks that tell.

It never touches keys or nodes: wallet-manager derives addresses, tron-client tells of transfers.
"""
