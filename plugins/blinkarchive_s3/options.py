"""What the owner may write of a bucket, and what of it makes no sense."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode, urlsplit

from blinkarchive import BadKey, ConfigError
from blinkarchive.convert import SecretRef
from blinkarchive.loopback import is_this_machine
from blinkarchive_s3.names import check

StorageClass = Literal["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"]
"""Those whose objects can be read at once. What has to be thawed first cannot be checked, nor given back when it is needed."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_MOST_TAGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """What `[sink.NAME]` takes beside `type = "s3"`."""

    bucket: str = field(metadata={"help": "the name of the bucket; it must exist"})
    prefix: str = field(default="", metadata={"help": "a folder in the bucket that all of it goes into, such as `blink/`"})
    endpoint_url: str | None = field(
        default=None, metadata={"help": "the address of a store that is not Amazon's; https, or http on this machine alone"}
    )
    region: str | None = field(default=None, metadata={"help": "the region of the bucket, such as `eu-central-1`"})
    access_key_id: SecretRef | None = field(
        default=None, metadata={"help": "the id of an access key; without it boto3 looks where it always does"}
    )
    secret_access_key: SecretRef | None = field(default=None, metadata={"help": "the secret of that access key"})
    session_token: SecretRef | None = field(
        default=None, metadata={"help": "the third part of credentials that last for a while only"}
    )
    profile: str | None = field(default=None, metadata={"help": "the profile in `~/.aws` to take credentials and region from"})
    storage_class: StorageClass | None = field(
        default=None, metadata={"help": "the storage class of clips; by default that of the bucket"}
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = field(
        default=None, metadata={"help": "how the store encrypts what it keeps"}
    )
    kms_key_id: str | None = field(
        default=None, metadata={"help": "the key of KMS it encrypts with; for `aws:kms` and `aws:kms:dsse`"}
    )
    tags: Mapping[str, str] = field(default_factory=dict, metadata={"help": "tags that every clip gets, 10 at most"})
    object_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] | None = field(
        default=None, metadata={"help": "locks every clip against deleting"}
    )
    object_lock_days: int | None = field(default=None, metadata={"help": "for how many days"})
    path_style: bool | None = field(
        default=None,
        metadata={
            "help": "whether the bucket stands in the path of addresses, not before the host; by default with an `endpoint_url`"
        },
    )
    ca_file: Path | None = field(
        default=None, metadata={"help": "certificates to trust in place of the usual ones, for a store with one of its own"}
    )

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ConfigError(f'bucket = "{self.bucket}" is no name of a bucket')
        self._check_prefix()
        if self.endpoint_url is not None:
            check_address(self.endpoint_url)
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ConfigError("access_key_id and secret_access_key go together: one of them is missing")
        if self.session_token is not None and self.access_key_id is None:
            raise ConfigError("session_token goes with access_key_id and secret_access_key, which are missing")
        if self.profile is not None and self.access_key_id is not None:
            raise ConfigError("profile and access_key_id are two ways to say the same: leave one out")
        if self.kms_key_id is not None and not (self.server_side_encryption or "").startswith("aws:kms"):
            raise ConfigError('kms_key_id needs server_side_encryption = "aws:kms" or "aws:kms:dsse"')
        if (self.object_lock_mode is None) != (self.object_lock_days is None):
            raise ConfigError("object_lock_mode and object_lock_days go together: one of them is missing")
        if self.object_lock_days is not None and not 1 <= self.object_lock_days <= 36_500:
            raise ConfigError("object_lock_days must be a number from 1 to 36500")
        if len(self.tags) > _MOST_TAGS or any(not name for name in self.tags):
            raise ConfigError(f"tags may be {_MOST_TAGS} at most, and each must have a name")

    def _check_prefix(self) -> None:
        if self.folder:
            try:
                check(self.folder[:-1])
            except BadKey as error:
                raise ConfigError(f'prefix = "{self.prefix}" cannot be a folder: {error}') from error

    @property
    def folder(self) -> str:
        """What all names in the bucket begin with: "", or something that ends with a slash."""
        return self.prefix if self.prefix.endswith("/") or not self.prefix else f"{self.prefix}/"

    @property
    def sealed(self) -> dict[str, str]:
        """The parameters of an upload that say how it is encrypted."""
        said = {"ServerSideEncryption": self.server_side_encryption, "SSEKMSKeyId": self.kms_key_id}
        return {name: value for name, value in said.items() if value is not None}

    @property
    def tagging(self) -> str:
        """The tags as S3 wants them."""
        return urlencode(self.tags)


def check_address(url: str) -> None:
    """Raise `ConfigError` for an address that is none, holds a password, or would be talked to in clear over a network."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"endpoint_url is no address: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError("endpoint_url must not hold a name or a password: use access_key_id and secret_access_key")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(f'endpoint_url = "{url}" is no address such as https://s3.example.org')
    if parts.scheme == "http" and not is_this_machine(host):
        raise ConfigError(f'endpoint_url = "{url}" must begin with https: plain http is for this machine alone')
