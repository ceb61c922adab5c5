"""What a reverse proxy in front of a store does to requests, found out when the sink is opened."""

from __future__ import annotations

import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from blinkarchive.secret import Secret
from blinkarchive_s3.client import connect
from blinkarchive_s3.names import SIZE_PROBE
from blinkarchive_s3.options import S3Options
from blinkarchive_s3.telling import RAISE_THE_LIMIT, Answer

USUAL_SIZE = 16 * 1024 * 1024
"""Bytes of a long clip."""

_PATIENCE = 5.0
_LONGEST_LINE = 1024


def changes_host(options: S3Options, secrets: dict[str, Secret]) -> bool:
    """Whether a proxy changes the Host header, when a store has refused a signature.

    That is so where the store accepts the same key in S3's older signature, which leaves out that header.
    """
    if options.endpoint_url is None:
        return False
    with closing(connect(options, secrets, 1, signature="s3")) as client:
        try:
            client.get_object(Bucket=options.bucket, Key=options.folder + SIZE_PROBE)["Body"].close()
        except ClientError as error:
            return Answer.of(error).code == "NoSuchKey"
        except BotoCoreError:
            return False
    return True


def refused_size(options: S3Options, secrets: dict[str, Secret]) -> str:
    """Words for a proxy that refuses the size of a long clip; "" where none does, or where that cannot be found out.

    The body is announced and never sent (`Expect: 100-continue`), so that this costs nothing. Some stores would keep what they
    have of a put that ends early, so its signature is wrong: a proxy does not know that, and a store refuses it.
    """
    if options.endpoint_url is None:
        return ""  # no proxy is in front of Amazon's
    with closing(connect(options, secrets, 1, signature="s3v4")) as client:
        try:
            status = _announced(client, options)
        except (BotoCoreError, HTTPException, OSError, ValueError, IndexError):
            return ""
    if status != 413:
        return ""
    return f"clips of {USUAL_SIZE // 2**20} MiB are refused (413), probably by a proxy before the store: {RAISE_THE_LIMIT}"


def _announced(client: Any, options: S3Options) -> int:
    """The status of the first answer to a put that is announced."""
    target = {"Bucket": options.bucket, "Key": options.folder + SIZE_PROBE}
    url = urlsplit(client.generate_presigned_url("put_object", Params=target, ExpiresIn=300))
    with closing(_connection(url.scheme, url.netloc, options)) as connection:
        connection.putrequest("PUT", f"{url.path}?{url.query.replace('Signature=', 'Signature=0')}")
        connection.putheader("Content-Length", str(USUAL_SIZE))
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        with connection.sock.makefile("rb") as answer:
            return int(answer.readline(_LONGEST_LINE).split()[1])


def _connection(scheme: str, place: str, options: S3Options) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(place, timeout=_PATIENCE)
    context = ssl.create_default_context(cafile=None if options.ca_file is None else str(options.ca_file))
    return HTTPSConnection(place, timeout=_PATIENCE, context=context)
