"""Serve usdt-manager."""

from services.usdt_manager.app import create
from services.usdt_manager.settings import Settings
from shared.web.server import serve

serve("usdt-manager", Settings, create, lambda settings: settings.port)
