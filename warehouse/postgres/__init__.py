"""PostgreSQL as the domain sees it: sessions, introspection, exact types, COPY and fingerprints."""
