"""Bring MLflow's database, accounts and bucket up to date before a server starts.

May run any number of times, and in several pods at once: a lock in the database lets one after the other through.
Passwords are set to what the secret says, so that changing the secret changes them.
"""

import os
import subprocess
import sys
import time

import boto3
import psycopg2
from botocore.exceptions import ClientError
from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

LOCK = 5_417_236
PATIENCE = 120.0
ACCOUNTS = {"ADMIN": True, "STEPS": False, "READER": False}


def connection() -> "psycopg2.extensions.connection":
    """A connection to the database of PGHOST; waits up to PATIENCE seconds for it."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return psycopg2.connect("")
        except psycopg2.OperationalError as error:
            if time.monotonic() > end:
                sys.exit(f"error: no database at {os.environ.get('PGHOST')}: {error}")
            time.sleep(2)


def migrate(uri: str) -> None:
    """Make or upgrade the tables of the tracking server and of its accounts."""
    for command in (["mlflow", "db", "upgrade", uri], ["mlflow.server.auth", "db", "upgrade", "--url", uri]):
        subprocess.run([sys.executable, "-P", "-m", *command], check=True)  # noqa: S603


def accounts(uri: str) -> None:
    """Make the accounts, or set their passwords."""
    store = SqlAlchemyStore()
    store.init_db(uri)
    for name, admin in ACCOUNTS.items():
        user, password = name.lower(), os.environ[f"{name}_PASSWORD"]
        if store.has_user(user):
            if not store.authenticate_user(user, password):
                store.update_user(user, password=password)
                print(f"account {user}: new password")
        else:
            store.create_user(user, password, is_admin=admin)
            print(f"account {user}: made")


def bucket(name: str) -> None:
    """Make the bucket unless it is there; fails where it may not be used."""
    client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    region = os.environ["AWS_DEFAULT_REGION"]
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            sys.exit(f"error: bucket {name} cannot be used: {error}")
        client.create_bucket(Bucket=name, **place)
        print(f"bucket {name}: made")


def main() -> None:
    """Do all of it under the lock, which falls with the connection."""
    uri = read_auth_config().database_uri
    held = connection()
    held.autocommit = True  # an open transaction would keep migrations waiting
    held.cursor().execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    migrate(uri)
    accounts(uri)
    bucket(os.environ["MLFLOW_BUCKET"])
    held.close()


if __name__ == "__main__":
    main()
