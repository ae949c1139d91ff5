"""Serve payment-gateway."""

from services.payment_gateway.app import create
from services.payment_gateway.settings import Settings
from shared.web.server import serve

serve("payment-gateway", Settings, create, lambda settings: settings.port)
