"""TRON nodes: the only place that opens connections to them.

``endpoints`` and ``files`` name them, ``wire`` asks one, ``pool`` chooses among several; ``lanes``,
``budgets`` and ``breakers`` say when each may be asked. ``client`` says what is asked, ``reading`` and
``outcomes`` what the answers mean.
"""

from services.tron_client.node.endpoints import Endpoint, Treatment
from services.tron_client.node.lanes import Lane
from services.tron_client.node.pool import NodePool
from services.tron_client.node.wire import NodeCounters, NodeHttp, Transport

__all__ = ["Endpoint", "Lane", "NodeCounters", "NodeHttp", "NodePool", "Transport", "Treatment"]
