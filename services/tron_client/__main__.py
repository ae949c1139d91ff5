"""Serve tron-client."""

from services.tron_client.app import create
from services.tron_client.settings import Settings
from shared.web.server import serve

serve("tron-client", Settings, create, lambda settings: settings.port)
