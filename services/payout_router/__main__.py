"""Serve payout-router."""

from services.payout_router.app import create
from services.payout_router.settings import Settings
from shared.web.server import serve

serve("payout-router", Settings, create, lambda settings: settings.port)
