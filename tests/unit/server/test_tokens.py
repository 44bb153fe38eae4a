"""Tokens of service accounts and signed certificate requests."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from capim.aio.clock import ManualClock
from capim.certs.issue import new_key
from capim.certs.tokens import TokenSigner
from tests.support.memory import MemoryClient, make_api
from tests.support.served import make_served, resource

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
TOKEN = f"{ACCOUNTS}/robot/token"
WHO = "/apis/authentication.k8s.io/v1"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
START_S = 1_700_000_000.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_S)


@pytest.fixture
def client(clock: ManualClock) -> MemoryClient:
    served = make_served(clock=clock)
    served.group.create(resource("serviceaccounts"), "default", {"metadata": {"name": "robot"}})
    return MemoryClient(make_api(served, clock=clock))


def token_of(client: MemoryClient, **spec: Any) -> str:
    answer = client.ask("POST", TOKEN, {"spec": spec})
    assert answer.status == 201
    return str(answer.json()["status"]["token"])


def who(client: MemoryClient, token: str) -> Any:
    bare = MemoryClient(client.connection._application, None)
    answer = bare.ask("POST", f"{WHO}/selfsubjectreviews", {}, Authorization=f"Bearer {token}")
    return answer.json()["status"]["userInfo"] if answer.status == 201 else answer.status


@pytest.mark.parametrize("key", [new_key(), rsa.generate_private_key(65537, 2048)])
def test_signer_knows_its_own(key: Any) -> None:
    signer, other = TokenSigner(key), TokenSigner(new_key())
    token = signer.sign({"a": 1})
    assert signer.verify(token) == {"a": 1}
    assert other.verify(token) is None
    head, body, signature = token.split(".")
    assert signer.verify(f"{head}.{body}x.{signature}") is None
    assert signer.verify("a.b.c") is None
    assert signer.key_set()["keys"][0]["alg"] == signer.algorithm


def test_token_is_its_account(client: MemoryClient) -> None:
    info = who(client, token_of(client))
    assert info["username"] == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in info["groups"]
    assert who(client, "a.b.c") == 401


def test_token_expires(client: MemoryClient, clock: ManualClock) -> None:
    token = token_of(client, expirationSeconds=600)
    clock.advance(599)
    assert who(client, token) != 401
    clock.advance(1)
    assert who(client, token) == 401


def test_token_goes_with_its_account(client: MemoryClient) -> None:
    token = token_of(client)
    client.ask("DELETE", f"{ACCOUNTS}/robot")
    assert who(client, token) == 401
    client.ask("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
    assert who(client, token) == 401


def test_bound_token_goes_with_what_it_is_bound_to(client: MemoryClient) -> None:
    secrets = "/api/v1/namespaces/default/secrets"
    client.ask("POST", secrets, {"metadata": {"name": "s"}})
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "s"}
    wrong = client.ask("POST", TOKEN, {"spec": {"boundObjectRef": reference | {"uid": "x"}}})
    assert wrong.status == 409
    token = token_of(client, boundObjectRef=reference)
    assert who(client, token) != 401
    client.ask("DELETE", f"{secrets}/s")
    assert who(client, token) == 401


def test_review_of_a_token_for_somebody_else(client: MemoryClient) -> None:
    token = token_of(client, audiences=["vault"])
    assert who(client, token) == 401

    def review(**spec: Any) -> Any:
        answer = client.ask("POST", f"{WHO}/tokenreviews", {"spec": {"token": token, **spec}})
        return answer.json()["status"]

    found = review(audiences=["vault", "x"])
    assert (found["authenticated"], found["audiences"]) == (True, ["vault"])
    assert "is invalid for the target audiences" in review()["error"]


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"expirationSeconds": 599}, 422),
        ({"expirationSeconds": 1 << 33}, 422),
        ({"boundObjectRef": {"kind": "Foo", "name": "x"}}, 400),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "x"}}, 404),
    ],
)
def test_requests_that_cannot_be(client: MemoryClient, spec: Any, status: int) -> None:
    assert client.ask("POST", TOKEN, {"spec": spec}).status == status


def test_keys_are_published(client: MemoryClient) -> None:
    document = client.ask("GET", "/.well-known/openid-configuration").json()
    assert document["jwks_uri"].endswith("/openid/v1/jwks")
    keys = client.ask("GET", "/openid/v1/jwks")
    assert keys.headers["Content-Type"] == "application/jwk-set+json"
    assert len(keys.json()["keys"]) == 1
    assert client.ask("POST", "/openid/v1/jwks").status == 405


def certificate_request(name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.PEM)
    return base64.b64encode(pem).decode()


def test_approved_request_is_signed_for_who_asked(client: MemoryClient) -> None:
    spec = {
        "request": certificate_request("bob"),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "username": "somebody-else",
    }
    made = client.ask("POST", REQUESTS, {"metadata": {"name": "r"}, "spec": spec}).json()
    assert made["spec"]["username"] == "kubernetes-admin"
    approved = {"type": "Approved", "status": "True", "reason": "R", "message": "m"}
    made["status"] = {"conditions": [approved]}
    assert client.ask("PUT", f"{REQUESTS}/r/approval", made).status == 200
    signed = client.ask("GET", f"{REQUESTS}/r").json()
    pem = base64.b64decode(signed["status"]["certificate"])
    assert x509.load_pem_x509_certificate(pem).subject.rfc4514_string() == "CN=bob"
    signed["status"]["conditions"] = []
    back = client.ask("PUT", f"{REQUESTS}/r/approval", signed)
    assert back.status == 422
    assert 'may not remove a condition of type "Approved"' in back.json()["message"]


SECRETS = "/api/v1/namespaces/default/secrets"


def secret_token(client: MemoryClient) -> str:
    """Make a Secret for the account's token and return that."""
    notes = {"kubernetes.io/service-account.name": "robot"}
    body = {
        "metadata": {"name": "t", "annotations": notes},
        "type": "kubernetes.io/service-account-token",
    }
    made = client.ask("POST", SECRETS, body)
    assert made.status == 201
    assert "data" not in made.json()
    return base64.b64decode(client.ask("GET", f"{SECRETS}/t").json()["data"]["token"]).decode()


def test_a_secrets_token_is_its_accounts_for_ever(client: MemoryClient, clock: ManualClock) -> None:
    token = secret_token(client)
    clock.advance(10 * 365 * 24 * 3600)
    user = who(client, token)
    assert user["username"] == "system:serviceaccount:default:robot"
    assert "extra" not in user


@pytest.mark.parametrize("gone", [f"{SECRETS}/t", f"{ACCOUNTS}/robot"])
def test_a_secrets_token_ends_with_its_secret_and_its_account(
    client: MemoryClient, gone: str
) -> None:
    token = secret_token(client)
    assert client.ask("DELETE", gone).status == 200
    assert who(client, token) == 401
