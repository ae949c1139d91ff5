"""What two or more of the six services need and must not disagree about.

Nothing here knows a service: services stand on ``shared``, and ``shared`` never looks up.
"""
