"""How boto3 is made to do what it is told, once: no second try, no redirect, no proxy, no hashing of what is hashed already."""

from __future__ import annotations

from typing import Any

import boto3
from botocore import exceptions as boto
from botocore.config import Config

from blinkarchive import ConfigError
from blinkarchive.convert import SecretRef
from blinkarchive.secret import Secret, redact
from blinkarchive_s3.options import S3Options, check_address

SENDING = 120.0
"""Seconds that a connection may take to be made, and that sending one piece of a body may take: boto3 has one value for both.

Many puts share a home's line: at 0.5 Mbit/s a piece of 64 KiB takes 16 s when 16 of them are sent at the same time.
"""

SILENCE = 600.0
"""Seconds that a store may say nothing after all was sent. What the system still holds of it may take minutes on a slow line.

Both values only free a thread: the core has the deadlines.
"""


def secrets_of(options: S3Options) -> dict[str, Secret]:
    """The credentials that the options lead to, by boto3's names for them. Raises `ConfigError` when one is not there."""
    wanted = {
        "aws_access_key_id": ("access_key_id", options.access_key_id),
        "aws_secret_access_key": ("secret_access_key", options.secret_access_key),
        "aws_session_token": ("session_token", options.session_token),
    }
    return {name: _read(key, ref) for name, (key, ref) in wanted.items() if ref is not None}


def _read(key: str, ref: SecretRef) -> Secret:
    secret = ref.read()
    if secret is None:
        raise ConfigError(f"{key}: {ref} holds nothing")
    return secret


def connect(options: S3Options, secrets: dict[str, Secret], connections: int, signature: str | None = None) -> Any:
    """A client of boto3. Nothing is asked of the store. Raises `ConfigError` for what boto3 cannot make one of."""
    config = Config(
        signature_version=signature,
        connect_timeout=SENDING,
        read_timeout=SILENCE,
        max_pool_connections=connections,
        proxies={},  # none of the environment
        retries={"total_max_attempts": 1, "mode": "standard"},  # the core has the only loop
        request_checksum_calculation="when_required",  # we give SHA-256 ourselves; stores that are not Amazon's know no other
        response_checksum_validation="when_required",
        s3={
            "payload_signing_enabled": False,  # it would hash every byte again; what is signed is the checksum
            "addressing_style": _style(options),
        },
    )
    if options.ca_file is not None and not options.ca_file.is_file():
        raise ConfigError(f"ca_file: there is no file {options.ca_file}")
    try:
        session = boto3.session.Session(
            profile_name=options.profile, region_name=options.region, **{name: one.reveal() for name, one in secrets.items()}
        )
        region = session.region_name or "us-east-1"
        client = session.client(
            "s3",
            endpoint_url=options.endpoint_url,
            region_name=region,
            verify=None if options.ca_file is None else str(options.ca_file),
            config=config,
        )
    except (boto.BotoCoreError, ValueError) as error:
        raise ConfigError(redact(str(error), *secrets.values())) from error
    check_address(client.meta.endpoint_url)  # it may have come from the environment, or from a profile
    client.meta.events.register("before-call.s3", _redirected)
    return client


def _style(options: S3Options) -> str:
    if options.path_style is None:
        return "auto" if options.endpoint_url is None else "path"
    return "path" if options.path_style else "virtual"


def _redirected(context: dict[str, Any], **_: object) -> None:
    """boto3 asks another region by itself, again and for every client. We would rather have the owner write the right one."""
    context.setdefault("s3_redirect", {})["redirected"] = True
