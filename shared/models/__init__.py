"""The wire contracts, one module per publishing service.

Requests refuse unknown fields; views ignore what they do not know, so that services can be updated
one after the other. Amounts are decimal strings, and base units as strings beside them.
"""
