"""MLflow databases for tests of what steps log."""

from tests.tracking.conftest import empty_database, tracking_uri

__all__ = ["empty_database", "tracking_uri"]
