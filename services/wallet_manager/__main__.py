"""Serve wallet-manager."""

from services.wallet_manager.app import create
from services.wallet_manager.settings import Settings
from shared.web.server import serve

serve("wallet-manager", Settings, create, lambda settings: settings.port)
