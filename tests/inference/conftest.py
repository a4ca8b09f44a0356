"""MLflow databases for tests of registration and of loading from the registry."""

from tests.tracking.conftest import empty_database, tracking_uri

__all__ = ["empty_database", "tracking_uri"]
