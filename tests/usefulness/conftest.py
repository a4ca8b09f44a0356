"""An MLflow database for the test of what the comparison logs."""

from tests.tracking.conftest import empty_database, tracking_uri

__all__ = ["empty_database", "tracking_uri"]
