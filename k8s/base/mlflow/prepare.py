"""Prepares MLflow's database, accounts and bucket before a server starts.

May run any number of times, and in several pods at once: a lock in the database lets one through after the other.
Passwords are set to those of the secret, so that changing the secret changes them. A database or object store that does
not answer is waited for.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import boto3
import psycopg2
from botocore.exceptions import BotoCoreError, ClientError
from mlflow.server.auth.config import read_auth_config
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

LOCK = 5_417_236
PATIENCE = 120.0
PAUSE = 2.0
ACCOUNTS = {"ADMIN": True, "STEPS": False, "READER": False}
Result = TypeVar("Result")


def wait_for(what: str, call: Callable[[], Result], *unreachable: type[Exception]) -> Result:
    """The result of `call`, repeated for up to PATIENCE seconds while it raises one of the exceptions `unreachable`."""
    end = time.monotonic() + PATIENCE
    printed = ""
    while True:
        try:
            return call()
        except unreachable as error:
            reason = " ".join(str(error).split())
            if reason != printed:
                print(f"waiting for {what}: {reason}", flush=True)
                printed = reason
            if time.monotonic() > end:
                sys.exit(f"error: {what} does not answer: {reason}")
            time.sleep(PAUSE)


def connection() -> "psycopg2.extensions.connection":
    """A connection to the database of PGHOST."""
    return wait_for(
        f"the database at {os.environ.get('PGHOST')}", lambda: psycopg2.connect(""), psycopg2.OperationalError
    )


def migrate(uri: str) -> None:
    """Creates or upgrades the tables of the tracking server and of its accounts."""
    for command in (["mlflow", "db", "upgrade", uri], ["mlflow.server.auth", "db", "upgrade", "--url", uri]):
        subprocess.run([sys.executable, "-P", "-m", *command], check=True)  # noqa: S603


def accounts(uri: str) -> None:
    """Creates the accounts, or sets their passwords."""
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
            print(f"account {user}: created")


def bucket(name: str) -> None:
    """Creates the bucket unless it exists; exits where it may not be used."""
    address = os.environ["MLFLOW_S3_ENDPOINT_URL"]
    wait_for(f"the object store at {address}", lambda: _bucket(address, name), BotoCoreError)


def _bucket(address: str, name: str) -> None:
    client = boto3.client("s3", endpoint_url=address)
    region = os.environ["AWS_DEFAULT_REGION"]
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        client.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            sys.exit(f"error: bucket {name} cannot be used: {error}")
        client.create_bucket(Bucket=name, **place)
        print(f"bucket {name}: created")


def main() -> None:
    """Does all of it under the lock, which is released with the connection."""
    uri = read_auth_config().database_uri
    locked = connection()
    locked.autocommit = True  # an open transaction would block migrations
    locked.cursor().execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    migrate(uri)
    accounts(uri)
    bucket(os.environ["MLFLOW_BUCKET"])
    locked.close()


if __name__ == "__main__":
    main()
