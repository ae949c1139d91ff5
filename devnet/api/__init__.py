"""The node's HTTP API: two trees of paths over one chain, at the head and at the solid height."""
