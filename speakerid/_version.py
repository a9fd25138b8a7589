"""The program's version; pyproject.toml says the same, and a test holds them equal."""

__version__ = "0.1.0"
