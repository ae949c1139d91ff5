"""What keeps a node from answering; each says whether asking again may help."""

from shared.errors import Unavailable


class NodeUnavailable(Unavailable):
    """The node gave no answer that can be used; what was asked may be asked again."""

    code = "LUCID_ERR_9106"
    title = "The node is unavailable"


class NodeRefused(Unavailable):
    """The node understood and will not do it; the same question gets the same answer."""

    code = "LUCID_ERR_9107"
    title = "The node refuses"


class CallRefused(NodeRefused):
    """The node does not run this call: there is no such contract, or it runs none."""


class WrongChain(Unavailable):
    """The node's genesis block is not the one pinned for this network (H17)."""

    code = "LUCID_ERR_9108"
    title = "The node is of another network"
