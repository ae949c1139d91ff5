"""The engine for more than one machine: a MongoDB replica set, through PyMongo's asynchronous client.

Nothing here imports the driver but what is imported when a server is configured: a service on the
embedded engine never pays for it. All services share one database, each with a user of its own.

What lies in it, ``<service>`` with underscores:

========================  =======================================================================
collection                holds
========================  =======================================================================
``<service>.<name>``      the records of a collection. Names that other Lucid tools look for stand
                          without a service: ``payouts``, ``payout_batches``, ``tron_receipts``,
                          ``wallet_keys``
``<service>.feed.<name>`` the events of a feed: ``_id`` is the number, then ``id``, ``type``,
                          ``at_ms``, ``object``
``<service>.engine``      bookkeeping by ``_id``: ``stamp``, ``head:<feed>``, ``followers:<feed>``,
                          ``floor:<collection>``, ``session:<id>``, ``receipt:<id>``, ``exclusive``
========================  =======================================================================

A record is a document: its id as ``_id``, its ``version``, then its fields under their own names.
Integers are 64 bits wide; a larger one is ``{"~integer": "<decimal>"}``. In keys of nested objects
``~``, NUL, ``.`` and a leading ``$`` are written ``~~``, ``~0``, ``~1`` and ``~2``. A document that BSON
cannot hold that way, of more than a mebibyte or very deep, is kept as JSON text under ``~json``,
with its indexed fields beside. ``_lease`` holds ``token``, ``owner``, ``until`` and ``claim``;
``_touched`` is the last unit that insisted on the record without changing it.
"""
