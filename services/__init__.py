"""The six services, each a package of the same few files, and the operator's commands beside them."""
