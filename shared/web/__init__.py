"""The edge of every service: one application factory, one way to say no, one set of probes."""
