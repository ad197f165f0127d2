"""BearerJWT against everything a token can claim; each attack is a line of a table."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from swift.auth import BearerJWT, ExpiredToken, Identity, InvalidToken, JWTKey, TokenUser
from swift.http import Request, Unauthorized

SECRET = b"an honest secret of the service, 42 bytes"
RSA = rsa.generate_private_key(65537, 2048)
STRANGER = rsa.generate_private_key(65537, 2048)
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RSA_DER = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

Claims = dict[str, Any]


def encoded(content: bytes | str | dict[str, Any]) -> str:
    if isinstance(content, dict):
        content = json.dumps(content)
    if isinstance(content, str):
        content = content.encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def now(offset: float = 0) -> int:
    return int(time.time() + offset)


def good() -> Claims:
    return {"sub": "7", "exp": now(600), "iss": "https://issuer.example", "aud": "shop"}


def signed(header: Any = None, claims: Any = None, *, key: bytes = SECRET, algorithm: str = "sha256") -> str:
    """A token with a right HMAC, whatever its header and claims say."""
    content = (
        encoded({"alg": "HS256"} if header is None else header)
        + "."
        + encoded(good() if claims is None else claims)
    )
    return content + "." + encoded(hmac.digest(key, content.encode(), algorithm))


def with_claims(**changed: Any) -> str:
    claims = {**good(), **changed}
    return signed(claims={name: value for name, value in claims.items() if value is not ...})


def by_stranger(**header: Any) -> str:
    return jwt.encode(good(), STRANGER, "RS256", headers=header)


def request_with(*values: str, scheme: str = "Bearer") -> Request:
    headers = [(b"authorization", f"{scheme} {value}".encode("latin-1")) for value in values]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b""})


def service(**options: Any) -> BearerJWT:
    return BearerJWT(SECRET, **{"audience": "shop", "issuer": "https://issuer.example", **options})


def refused(backend: BearerJWT, token: str, reason: str = "") -> Unauthorized:
    """The 401 for a token, which is refused for this reason."""
    with pytest.raises(InvalidToken) as invalid:
        backend.verify_token(token)
    assert reason in ("", invalid.value.reason)
    with pytest.raises(Unauthorized) as caught:
        backend.authenticate(request_with(token))
    return caught.value


# ---- what is accepted


def test_a_right_token_gives_its_user_and_claims() -> None:
    identity = service().authenticate(request_with(signed()))
    assert isinstance(identity, Identity)
    assert isinstance(identity.user, TokenUser)
    assert identity.user.id == "7"
    assert identity.auth["iss"] == "https://issuer.example"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
def test_the_scheme_is_case_insensitive(scheme: str) -> None:
    assert service().authenticate(request_with(signed(), scheme=scheme)) is not None


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_the_types_of_access_tokens_are_accepted(typ: str) -> None:
    assert service().verify_token(signed({"alg": "HS256", "typ": typ}))["sub"] == "7"


def test_no_credentials_of_this_kind_are_none() -> None:
    assert service().authenticate(request_with()) is None
    assert service().authenticate(request_with("dXNlcjpwYXNz", scheme="Basic")) is None
    assert service().authenticate(request_with("x", scheme="BearerToken")) is None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (SECRET, "HS256"),
        (b"k" * 64, "HS512"),
        (RSA, "RS256"),
        (RSA, "PS384"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ec.generate_private_key(ec.SECP521R1()), "ES512"),
    ],
)
def test_pyjwt_and_we_read_each_others_tokens(key: Any, algorithm: str) -> None:
    backend = BearerJWT(key, algorithm, audience="shop", issuer="me")
    public = key if isinstance(key, bytes) else key.public_key()
    theirs = jwt.encode({**good(), "iss": "me"}, key, algorithm)
    assert backend.verify_token(theirs) == jwt.decode(theirs, public, [algorithm], audience="shop")
    ours = backend.issue_token(7, claims={"scope": "read"})
    claims = jwt.decode(
        ours, public, [algorithm], audience="shop", issuer="me", options={"require": ["exp", "jti"]}
    )
    assert claims == backend.verify_token(ours)
    assert (claims["sub"], claims["scope"]) == ("7", "read")


# ---- attacks on the header


DEEP = '{"alg":' + "[" * 3000 + "]" * 3000 + "}"

HEADER_ATTACKS: dict[str, tuple[str, Callable[[], str]]] = {
    "no signature, alg none": (
        "not three parts in base64url",
        lambda: encoded({"alg": "none"}) + "." + encoded(good()) + ".",
    ),
    "alg none with a signature": ("another algorithm than the key's", lambda: signed({"alg": "none"})),
    "alg None": ("another algorithm than the key's", lambda: signed({"alg": "None"})),
    "alg NONE": ("another algorithm than the key's", lambda: signed({"alg": "NONE"})),
    "alg nOnE": ("another algorithm than the key's", lambda: signed({"alg": "nOnE"})),
    "alg empty": ("another algorithm than the key's", lambda: signed({"alg": ""})),
    "alg missing": ("the header is malformed", lambda: signed({"typ": "JWT"})),
    "alg null": ("the header is malformed", lambda: signed({"alg": None})),
    "alg a list": ("the header is malformed", lambda: signed({"alg": ["HS256"]})),
    "alg in lower case": ("another algorithm than the key's", lambda: signed({"alg": "hs256"})),
    "a longer hash with the same secret": (
        "another algorithm than the key's",
        lambda: signed({"alg": "HS512"}, algorithm="sha512"),
    ),
    "alg HS256 over another hash": ("the signature is wrong", lambda: signed(algorithm="sha512")),
    "two alg, the last is none": (
        "another algorithm than the key's",
        lambda: signed('{"alg":"HS256","alg":"none"}'),
    ),
    "an empty secret": ("the signature is wrong", lambda: signed(key=b"")),
    "a NUL as the secret": ("the signature is wrong", lambda: signed(key=b"\0")),
    "an oct key in the token": (
        "the signature is wrong",
        lambda: signed({"alg": "HS256", "jwk": {"kty": "oct", "k": encoded(b"e" * 32)}}, key=b"e" * 32),
    ),
    "crit with an unknown extension": (
        "extensions that are not known here",
        lambda: signed({"alg": "HS256", "crit": ["x"], "x": 1}),
    ),
    "crit with b64": (
        "extensions that are not known here",
        lambda: signed({"alg": "HS256", "crit": ["b64"], "b64": False}),
    ),
    "crit empty": ("extensions that are not known here", lambda: signed({"alg": "HS256", "crit": []})),
    "crit null": ("extensions that are not known here", lambda: signed({"alg": "HS256", "crit": None})),
    "b64 without crit": (
        "extensions that are not known here",
        lambda: signed({"alg": "HS256", "b64": False}),
    ),
    "a token of another use": (
        "a token of another type",
        lambda: signed({"alg": "HS256", "typ": "secevent+jwt"}),
    ),
    "a log-out token": ("a token of another type", lambda: signed({"alg": "HS256", "typ": "logout+jwt"})),
    "typ a list": ("the header is malformed", lambda: signed({"alg": "HS256", "typ": ["JWT"]})),
    "kid a list": ("the header is malformed", lambda: signed({"alg": "HS256", "kid": ["a"]})),
    "kid an object": ("the header is malformed", lambda: signed({"alg": "HS256", "kid": {"a": 1}})),
    "a header that is a list": ("the header is malformed", lambda: signed('["HS256"]')),
    "a header that is no JSON": ("the header is malformed", lambda: signed("alg=HS256")),
    "an empty header": ("not three parts in base64url", lambda: "." + signed().partition(".")[2]),
    "a header in UTF-16": ("the header is malformed", lambda: signed('{"alg":"HS256"}'.encode("utf-16"))),
    "a header with a BOM": ("the header is malformed", lambda: signed('\ufeff{"alg":"HS256"}'.encode())),
    "a header three thousand lists deep": ("the header is malformed", lambda: signed(DEEP)),
}


@pytest.mark.parametrize("attack", HEADER_ATTACKS)
def test_a_header_convinces_nobody(attack: str) -> None:
    reason, token = HEADER_ATTACKS[attack]
    problem = refused(service(), token(), reason)
    assert problem.detail == "The token is not valid."


KEY_ATTACKS: dict[str, Callable[[], str]] = {
    "a stranger's key": lambda: by_stranger(),
    "under the name of ours": lambda: by_stranger(kid="rsa"),
    "with the key in the token (jwk)": lambda: by_stranger(
        jwk=jwt.algorithms.RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True)
    ),
    "with its keys at a URL (jku)": lambda: by_stranger(jku="https://evil.example/keys"),
    "with its keys at our URL (jku)": lambda: by_stranger(jku="https://issuer.example/../../evil"),
    "with its certificate at a URL (x5u)": lambda: by_stranger(x5u="file:///tmp/certificate.pem"),
    "with its certificate in the token (x5c)": lambda: by_stranger(x5c=["AAAA"]),
    "with everything at once": lambda: by_stranger(jku="https://evil.example", x5u="/", x5c=[], kid="rsa"),
}


@pytest.mark.parametrize("attack", KEY_ATTACKS)
@pytest.mark.parametrize("keys", [RSA, {"rsa": RSA, None: RSA}], ids=["one key", "keys by kid"])
def test_a_token_does_not_bring_its_key(attack: str, keys: Any) -> None:
    refused(BearerJWT(keys, audience="shop"), KEY_ATTACKS[attack](), "the signature is wrong")


@pytest.mark.parametrize("secret", [RSA_PEM, RSA_PEM.strip(), RSA_DER], ids=["PEM", "stripped PEM", "DER"])
@pytest.mark.parametrize("key", [RSA, RSA_PEM], ids=["object", "text"])
def test_a_public_key_is_no_secret(key: Any, secret: bytes) -> None:
    """HS/RS confusion: the token is signed with the public key, which everybody has."""
    backend = BearerJWT(key, audience="shop")
    assert backend.verify_token(jwt.encode(good(), RSA, "RS256"))["sub"] == "7"
    refused(backend, signed(key=secret))
    refused(backend, signed({"alg": "RS256"}, key=secret))


# ---- attacks on the frame

FRAME_ATTACKS: dict[str, tuple[str, Callable[[str], str]]] = {
    "nothing": ("not three parts in base64url", lambda token: ""),
    "two parts": ("not three parts in base64url", lambda token: token.rpartition(".")[0]),
    "four parts": ("not three parts in base64url", lambda token: token + ".AAAA"),
    "five parts, as an encrypted token": ("not three parts in base64url", lambda token: token + ".AAAA.AAAA"),
    "no signature": ("not three parts in base64url", lambda token: token.rpartition(".")[0] + "."),
    "half a signature": ("not in canonical base64url", lambda token: token[:-21]),
    "a signature too long": ("the signature is wrong", lambda token: token + "AAAA"),
    "padding": ("not three parts in base64url", lambda token: token + "="),
    "the same bits written otherwise": (
        "not in canonical base64url",
        lambda token: token[:-1] + chr(ord(token[-1]) + 1),
    ),
    "a space": ("not three parts in base64url", lambda token: token[:10] + " " + token[10:]),
    "another token behind a comma": (
        "not three parts in base64url",
        lambda token: token + ", Bearer " + token,
    ),
    "a line break": ("not three parts in base64url", lambda token: token[:10] + "\n" + token[10:]),
    "a NUL": ("not three parts in base64url", lambda token: token + "\0"),
    "beyond ASCII": ("not three parts in base64url", lambda token: token + "é"),
    "the letters of plain base64": (
        "not three parts in base64url",
        lambda token: token.replace(".", "+.", 1),
    ),
    "a part that is no base64 of any length": ("not base64url", lambda token: "A." + token.partition(".")[2]),
    "other claims under the signature": (
        "the signature is wrong",
        lambda token: token.replace(token.split(".")[1], encoded({**good(), "sub": "1"})),
    ),
}


@pytest.mark.parametrize("attack", FRAME_ATTACKS)
def test_a_frame_must_be_exact(attack: str) -> None:
    reason, changed = FRAME_ATTACKS[attack]
    refused(service(), changed(signed()), reason)


def test_a_token_is_measured_before_it_is_read() -> None:
    long = with_claims(padding="x" * 20_000)
    refused(service(), long)
    assert service(max_size=40_000).verify_token(long)["sub"] == "7"


async def test_a_flood_of_characters_is_refused_in_linear_time() -> None:
    backend = service(max_size=10_000_000)
    began = time.perf_counter()
    for text in ("a" * 3_000_000, "." * 3_000_000, "a." * 1_500_000, "a.a." + "a" * 3_000_000 + "!"):
        refused(backend, text)
    assert time.perf_counter() - began < 2


def test_two_authorization_headers_are_one_too_many() -> None:
    with pytest.raises(Unauthorized, match="once only"):
        service().authenticate(request_with(signed(), signed()))


@given(st.data())
def test_no_other_text_is_a_token(data: st.DataObject) -> None:
    token = service().issue_token(7)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(InvalidToken):
            service().verify_token(changed)


# ---- attacks on the claims

CLAIM_ATTACKS: dict[str, tuple[str, Callable[[], str]]] = {
    "exp missing": ("the claim `exp` is missing", lambda: with_claims(exp=...)),
    "exp null": ("the claim `exp` is missing", lambda: with_claims(exp=None)),
    "exp a text": ("the claim `exp` is no number", lambda: with_claims(exp=str(now(600)))),
    "exp true": ("the claim `exp` is no number", lambda: with_claims(exp=True)),
    "exp a list": ("the claim `exp` is no number", lambda: with_claims(exp=[now(600)])),
    "exp not a number": (
        "the claims are malformed",
        lambda: signed(claims='{"sub":"7","aud":"shop","exp":NaN}'),
    ),
    "exp infinite": (
        "the claims are malformed",
        lambda: signed(claims='{"sub":"7","aud":"shop","exp":Infinity}'),
    ),
    "exp beyond floats": (
        "the claims are malformed",
        lambda: signed(claims='{"sub":"7","aud":"shop","exp":1e999}'),
    ),
    "two exp, the last is past": (
        "expired",
        lambda: signed(
            claims=f'{{"sub":"7","iss":"https://issuer.example","aud":"shop","exp":{now(600)},"exp":{now(-600)}}}'
        ),
    ),
    "nbf to come": ("not valid yet", lambda: with_claims(nbf=now(60))),
    "nbf a text": ("the claim `nbf` is no number", lambda: with_claims(nbf="0")),
    "nbf null": ("the claim `nbf` is no number", lambda: with_claims(nbf=None)),
    "iat to come": ("issued in the future", lambda: with_claims(iat=now(60))),
    "iat a text": ("the claim `iat` is no number", lambda: with_claims(iat="yesterday")),
    "sub missing": ("the claim `sub` is missing", lambda: with_claims(sub=...)),
    "sub null": ("the claim `sub` is missing", lambda: with_claims(sub=None)),
    "sub a number": ("the claim `sub` is no text", lambda: with_claims(sub=7)),
    "sub an object": ("the claim `sub` is no text", lambda: with_claims(sub={"id": 7})),
    "iss missing": ("another issuer", lambda: with_claims(iss=...)),
    "iss another": ("another issuer", lambda: with_claims(iss="https://evil.example")),
    "iss with a slash more": ("another issuer", lambda: with_claims(iss="https://issuer.example/")),
    "iss a list with ours": (
        "the claim `iss` is no text",
        lambda: with_claims(iss=["https://issuer.example"]),
    ),
    "aud missing": (
        "the claim `aud` is missing, or no text and no list of texts",
        lambda: with_claims(aud=...),
    ),
    "aud null": (
        "the claim `aud` is missing, or no text and no list of texts",
        lambda: with_claims(aud=None),
    ),
    "aud another": ("another audience", lambda: with_claims(aud="bank")),
    "aud a longer name": ("another audience", lambda: with_claims(aud="shop2")),
    "aud an empty list": ("another audience", lambda: with_claims(aud=[])),
    "aud a list of others": ("another audience", lambda: with_claims(aud=["bank", "post"])),
    "aud a list with an object": (
        "the claim `aud` is missing, or no text and no list of texts",
        lambda: with_claims(aud=["shop", {}]),
    ),
    "aud an object": (
        "the claim `aud` is missing, or no text and no list of texts",
        lambda: with_claims(aud={"shop": 1}),
    ),
    "jti a number": ("the claim `jti` is no text", lambda: with_claims(jti=1)),
    "claims that are a list": ("the claims are malformed", lambda: signed(claims="[]")),
    "claims that are a text": ("the claims are malformed", lambda: signed(claims='"7"')),
    "claims that are no JSON": ("the claims are malformed", lambda: signed(claims="sub=7")),
    "claims that are not UTF-8": ("the claims are malformed", lambda: signed(claims=b'{"sub":"\xff"}')),
    "claims three thousand lists deep": (
        "the claims are malformed",
        lambda: signed(claims="[" * 3000 + "]" * 3000),
    ),
}


@pytest.mark.parametrize("attack", CLAIM_ATTACKS)
def test_claims_must_be_there_right_and_of_their_types(attack: str) -> None:
    reason, token = CLAIM_ATTACKS[attack]
    refused(service(), token(), reason)


def test_an_expired_token_is_told_so() -> None:
    problem = refused(service(), with_claims(exp=now(-1)))
    assert problem.detail == "The token has expired."
    assert problem.raw_headers == [
        (b"www-authenticate", b'Bearer error="invalid_token", error_description="The token has expired."')
    ]
    with pytest.raises(ExpiredToken):
        service().verify_token(with_claims(exp=now(-1)))


def test_a_token_ends_at_its_second() -> None:
    refused(service(), with_claims(exp=now()))
    assert service().verify_token(with_claims(exp=now(1) + 0.5))


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_leeway_bridges_clocks_that_differ_and_no_more(claim: str) -> None:
    sign = -1 if claim == "exp" else 1
    assert service(leeway=30).verify_token(with_claims(**{claim: now(sign * 20)}))
    refused(service(leeway=30), with_claims(**{claim: now(sign * 40)}))
    refused(service(), with_claims(**{claim: now(sign * 20)}))


@pytest.mark.parametrize("leeway", [-1, float("nan"), float("inf")])
def test_an_impossible_leeway_is_refused(leeway: float) -> None:
    with pytest.raises(ValueError, match="leeway"):
        service(leeway=leeway)


def test_one_of_several_audiences_is_enough() -> None:
    assert service().verify_token(with_claims(aud=["bank", "shop"]))
    assert service(audience=["post", "shop"]).verify_token(signed())
    assert service(issuer=["https://other.example", "https://issuer.example"]).verify_token(signed())


def test_a_token_for_somebody_is_refused_by_a_service_without_a_name() -> None:
    refused(BearerJWT(SECRET), signed())
    assert BearerJWT(SECRET).verify_token(with_claims(aud=...))


def test_required_claims_are_required_and_exp_always_is() -> None:
    backend = service(require=["scope"], load_user=dict)
    assert backend.verify_token(with_claims(scope="read", sub=...))
    refused(backend, signed())
    refused(backend, with_claims(scope="read", exp=...))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"require": "sub"}, TypeError),
        ({"require": []}, ValueError),
        ({"audience": []}, ValueError),
        ({"audience": ""}, ValueError),
        ({"issuer": [None]}, ValueError),
        ({"load_user": "find"}, TypeError),
        ({"realm": 'a"b'}, ValueError),
        ({"realm": "a\r\nb"}, ValueError),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        service(**options)


# ---- what a refusal tells


def test_a_refusal_tells_nothing_of_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = with_claims(aud="a-tell-tale-audience")
    problem = refused(service(realm="shop"), token)
    assert dict(problem.raw_headers)[b"www-authenticate"] == (
        b'Bearer realm="shop", error="invalid_token", error_description="The token is not valid."'
    )
    assert caplog.messages == ["A bearer token was refused: another audience."]
    assert "tell-tale" not in caplog.text + str(problem.document())


# ---- rotation


OLD, NEW = b"the old secret, of more than 32 bytes", b"the new secret, of more than 32 bytes"


def test_keys_rotate_by_kid() -> None:
    before = BearerJWT({"2025": OLD})
    during = BearerJWT({"2026": NEW, "2025": OLD})
    after = BearerJWT({"2026": NEW})
    token = before.issue_token(7)
    assert during.verify_token(token)["sub"] == "7"
    refused(after, token)
    renewed = during.issue_token(7)
    assert jwt.get_unverified_header(renewed) == {"alg": "HS256", "kid": "2026", "typ": "JWT"}
    assert after.verify_token(renewed)["sub"] == "7"
    refused(before, renewed)


def test_tokens_without_a_kid_have_the_key_under_none() -> None:
    token = BearerJWT(OLD).issue_token(7)
    assert BearerJWT({"2026": NEW, None: OLD}).verify_token(token)["sub"] == "7"
    refused(BearerJWT({"2026": NEW, "2025": OLD}), token)


def test_a_kid_selects_the_algorithm_with_the_key() -> None:
    backend = BearerJWT({"rsa": JWTKey(RSA), "old": OLD})
    assert backend.verify_token(backend.issue_token(7))["sub"] == "7"
    # The right secret under the name of the other key, and the public key as a secret under either name.
    claims = {"sub": "7", "exp": now(600)}
    assert backend.verify_token(signed({"alg": "HS256", "kid": "old"}, claims, key=OLD))["sub"] == "7"
    refused(backend, signed({"alg": "HS256", "kid": "rsa"}, claims, key=OLD))
    refused(backend, signed({"alg": "HS256", "kid": "rsa"}, claims, key=RSA_PEM))
    refused(backend, signed({"alg": "HS256", "kid": "old"}, claims, key=RSA_PEM))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "..\\..\\nul",
        "key' UNION SELECT 'e",
        "| cat /etc/passwd",
        "https://evil.example/key",
        "2025\0",
        "",
        "None",
        2025,
        None,
        True,
        ["2025"],
        {"2025": 1},
    ],
)
@pytest.mark.parametrize("secret", [b"", b"\0", b"e", OLD], ids=["empty", "nul", "short", "right"])
def test_a_kid_is_a_name_and_nothing_else(kid: Any, secret: bytes) -> None:
    backend = BearerJWT({"2025": OLD})
    refused(backend, signed({"alg": "HS256", "kid": kid}, {"sub": "7", "exp": now(600)}, key=secret))


def test_no_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="BearerJWT has no key"):
        BearerJWT({})


# ---- users


class User:
    def __init__(self, id: int, is_active: bool = True) -> None:
        self.id = id
        self.is_active = is_active


def test_a_loader_gives_the_user() -> None:
    backend = service(load_user=lambda claims: User(int(claims["sub"])))
    assert backend.synchronous
    identity = backend.authenticate(request_with(signed()))
    assert isinstance(identity, Identity)
    assert identity.user.id == 7
    assert identity.auth["sub"] == "7"


async def test_a_loader_may_wait() -> None:
    async def load(claims: Claims) -> User:
        await asyncio.sleep(0)
        return User(int(claims["sub"]))

    backend = service(load_user=load)
    assert not backend.synchronous
    identity = await backend.authenticate(request_with(signed()))  # type: ignore[misc]
    assert identity is not None
    assert identity.user.id == 7


async def test_an_object_whose_call_waits_is_a_loader() -> None:
    class Loader:
        async def __call__(self, claims: Claims) -> User:
            return User(1)

    assert not service(load_user=Loader()).synchronous


async def test_a_user_who_is_gone_is_refused() -> None:
    with pytest.raises(Unauthorized, match="The token is not valid"):
        service(load_user=lambda claims: None).authenticate(request_with(signed()))

    async def load(claims: Claims) -> None:
        return None

    with pytest.raises(Unauthorized):
        await service(load_user=load).authenticate(request_with(signed()))  # type: ignore[misc]


def test_a_loader_is_not_asked_for_a_wrong_token() -> None:
    asked: list[Claims] = []
    refused(service(load_user=asked.append), with_claims(exp=now(-1)))
    assert asked == []


def test_a_loader_may_say_what_auth_is() -> None:
    backend = service(load_user=lambda claims: Identity(User(1), {"scope": "read"}))
    assert backend.authenticate(request_with(signed())).auth == {"scope": "read"}  # type: ignore[union-attr]


# ---- issuing


def test_an_issued_token_is_accepted_for_its_time() -> None:
    backend = service()
    claims = backend.verify_token(backend.issue_token(7, expires_in=60))
    assert claims["sub"] == "7"
    assert claims["exp"] - claims["iat"] == 60
    assert (claims["iss"], claims["aud"]) == ("https://issuer.example", "shop")


def test_two_tokens_are_never_the_same() -> None:
    assert service().issue_token(7) != service().issue_token(7)


@pytest.mark.parametrize("claim", ["sub", "exp", "iat", "iss", "aud", "jti"])
def test_further_claims_do_not_replace_our_own(claim: str) -> None:
    with pytest.raises(ValueError, match=f"issue_token sets {claim} itself"):
        service().issue_token(7, claims={claim: "x"})


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_token_lives_for_a_while(seconds: float) -> None:
    with pytest.raises(ValueError, match="expires_in"):
        service().issue_token(7, expires_in=seconds)


def test_who_only_verifies_cannot_issue() -> None:
    with pytest.raises(ValueError, match="public key cannot sign"):
        BearerJWT(RSA_PEM).issue_token(7)
