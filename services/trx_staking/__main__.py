"""Serve trx-staking."""

from services.trx_staking.app import create
from services.trx_staking.settings import Settings
from shared.web.server import serve

serve("trx-staking", Settings, create, lambda settings: settings.port)
