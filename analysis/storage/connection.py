"""Connections to object stores, through obstore: S3, Google Cloud Storage and Azure."""

import re
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import Request, urlopen

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from analysis.errors import StorageError

_QUERY = ("endpoint_override", "region", "scheme")
_DEFAULT_REGION = "us-east-1"
_LIMITS: dict[str, Any] = {
    "client_options": {"connect_timeout": "2s", "timeout": "20s", "allow_http": True},
    "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
}


@cache
def connect(uri: str) -> S3Store | GCSStore | AzureStore:
    """Return the store of a URI such as `s3://bucket/prefix?endpoint_override=http://host:port`.

    Credentials are in the URI (`s3://KEY:SECRET@bucket`, each percent-encoded), or come from
    the environment, the user's configuration or the machine's role.

    Raises:
        ValueError: It is not the URI of an object store.
        StorageError: There are no credentials for it.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "gs", "az") or not parts.hostname:
        raise ValueError(
            "it must be s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
        )
    credentials, _, bucket = parts.netloc.rpartition("@")
    if ":" in bucket:  # a bucket has no port
        raise ValueError("special characters in the password must be percent-encoded, `/` as %2F")
    path = unquote(parts.path)
    if parts.fragment or ".." in path.split("/") or not path.isprintable():
        raise ValueError(
            "it must not contain `..` or control characters, and `#` must be written as %23"
        )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = _QUERY if parts.scheme == "s3" else ()
    if unknown := ", ".join(sorted(query.keys() - set(known))):
        allowed = f"allows only {', '.join(known)}" if known else "has no query"
        raise ValueError(f"a {parts.scheme}:// URI {allowed}, but got {unknown}")
    try:
        match parts.scheme:
            case "s3":
                return S3Store(bucket, **_s3_options(bucket, credentials, query), **_LIMITS)
            case "gs":
                return GCSStore(bucket, skip_signature=credentials == "anonymous", **_LIMITS)
            case _:
                return AzureStore(bucket, **_LIMITS)
    except BaseError as error:
        raise ValueError(mask_credentials(str(error).splitlines()[0])) from error


def mask_credentials(text: str) -> str:
    """Return a text with the user and the password of its URI masked.

    A password that is not percent-encoded may contain any character. Without a password all up
    to the last `@` of the path is masked, with one all up to the last `@`.
    """
    return re.sub(r"(?<=://)([^\s/?@]+:.*|[^\s?]*)@", "…@", text)


def _s3_options(bucket: str, credentials: str, query: dict[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    endpoint = query.get("endpoint_override")
    if endpoint is not None:
        scheme = "" if "://" in endpoint else f"{query.get('scheme', 'https')}://"
        options["endpoint"] = scheme + endpoint
        where = urlsplit(options["endpoint"])
        # Obstore panics, as Rust calls it, without a host or with a port that cannot be.
        if where.scheme not in ("http", "https") or not where.hostname or where.port == 0:
            raise ValueError(f"`endpoint_override` must be http://HOST:PORT, but got {endpoint}")
    region = query.get("region")
    if ":" in credentials:
        key, _, secret = credentials.partition(":")
        options |= {"access_key_id": unquote(key), "secret_access_key": unquote(secret)}
    elif credentials == "anonymous":
        options["skip_signature"] = True
    else:
        import boto3
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            session = boto3.Session()
            region, found = region or session.region_name, session.get_credentials()
        except BotoCoreError as error:  # the user's configuration is damaged, or half of it
            raise ValueError(str(error)) from error
        if found is None:
            raise StorageError(
                f"there are no credentials for s3://{bucket}: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            )
        options["credential_provider"] = Boto3CredentialProvider(session)
    options["region"] = region or (_DEFAULT_REGION if endpoint else _find_region(bucket))
    return options


def _find_region(bucket: str) -> str:
    """Return the region of a bucket of Amazon's, which it tells without credentials."""
    request = Request(f"https://{bucket}.s3.amazonaws.com", method="HEAD")
    try:
        with urlopen(request, timeout=5) as answer:
            headers = answer.headers
    except OSError as error:  # also a refusal says the region
        headers = getattr(error, "headers", None) or {}
    return str(headers.get("x-amz-bucket-region", _DEFAULT_REGION))
