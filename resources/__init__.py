"""What the platform talks to. The only package that reads the environment; nothing here connects at import."""
