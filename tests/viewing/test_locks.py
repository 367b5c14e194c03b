"""Each lock by itself: who is let in, and who is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from gpustack.viewing.locks import HEADERS, LARGEST_BODY, Keys, Locks
from gpustack.viewing.routes import failed
from tests.viewing.stacks import HOST, ORIGIN


async def taken(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


def browser(keys: Keys, host: str = HOST) -> TestClient:
    """One that keeps cookies and follows no answer by itself."""
    routes = [Route("/", taken), Route("/thing", taken, methods=["GET", "POST"])]
    middleware = [Middleware(Locks, keys=keys)]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: failed})
    return TestClient(app, base_url=host, follow_redirects=False)


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def inside(keys: Keys) -> TestClient:
    """A browser that came through the door."""
    client = browser(keys)
    assert client.get(f"/?token={keys.token}").status_code == 303
    return client


def assert_refused(answer: object, status: int, words: str) -> None:
    assert answer.status_code == status  # type: ignore[attr-defined]
    said = answer.json()  # type: ignore[attr-defined]
    assert words in said["error"]
    assert set(said) == {"error", "remedy"}


def test_without_a_cookie_nothing_is_answered(keys: Keys) -> None:
    for path in ("/", "/thing", "/nothing", "/?token=", "/thing?token=" + keys.token):
        assert_refused(browser(keys).get(path), 401, "not good")


def test_a_token_becomes_a_strict_cookie(keys: Keys) -> None:
    client = browser(keys)
    answer = client.get(f"/?token={keys.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/thing").status_code == 200


def test_a_wrong_token_is_refused(keys: Keys) -> None:
    for token in (keys.token[:-1], keys.token + "x", "", "é", f"{keys.token}&token={keys.token}"):
        assert_refused(browser(keys).get(f"/?token={token}"), 401, "not good")


def test_a_token_is_good_once(keys: Keys) -> None:
    told: list[str] = []
    keys = Keys(told.append)
    token = keys.token
    assert browser(keys).get(f"/?token={token}").status_code == 303
    assert_refused(browser(keys).get(f"/?token={token}"), 401, "used before")
    assert told == [keys.token] != [token]
    assert browser(keys).get(f"/?token={keys.token}").status_code == 303


def test_only_opening_the_link_uses_it_up(keys: Keys) -> None:
    token = keys.token
    assert browser(keys).head(f"/?token={token}").status_code == 401
    assert browser(keys).get(f"/?token={token}").status_code == 303


def test_who_is_inside_may_use_the_link_again(keys: Keys, inside: TestClient) -> None:
    token = keys.token
    assert inside.get("/?token=used").headers["location"] == "/"
    assert keys.token == token


@pytest.mark.parametrize("value", ["", "wrong", "a=b", '"', "é"])
@pytest.mark.usefixtures("inside")
def test_a_made_up_cookie_is_refused(keys: Keys, value: str) -> None:
    header = {"cookie": f"{keys.cookie}={value}".encode()}
    assert_refused(browser(keys).get("/thing", headers=header), 401, "not good")


def test_two_servers_have_cookies_of_their_own() -> None:
    assert Keys().cookie != Keys().cookie


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "0.0.0.0",
        "",
        "[::1",
    ],
)
def test_a_foreign_host_is_refused(inside: TestClient, host: str) -> None:
    for path in ("/thing", "/"):
        assert_refused(inside.get(path, headers={"host": host}), 403, "names of its own machine")


def test_two_hosts_are_refused(inside: TestClient) -> None:
    headers = [("host", "127.0.0.1:8000"), ("host", "evil.example")]
    assert_refused(inside.get("/thing", headers=headers), 403, "names of its own machine")


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:9000", "LOCALHOST", "[::1]:8000"])
def test_a_tunnel_may_have_another_port(inside: TestClient, host: str) -> None:
    assert inside.get("/thing", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "http://127.0.0.1:8001",
        "https://127.0.0.1:8000",
        "127.0.0.1:8000",
    ],
)
def test_what_changes_something_must_come_from_the_page(inside: TestClient, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert_refused(inside.post("/thing", headers=headers), 403, "did not come from the page")
    assert inside.post("/thing", headers=ORIGIN).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(inside: TestClient, method: str) -> None:
    assert_refused(inside.request(method, "/thing", headers=ORIGIN), 405, "not understood")


def test_a_body_that_says_it_is_too_large_is_refused(inside: TestClient) -> None:
    assert_refused(inside.post("/thing", content=b"x" * (LARGEST_BODY + 1), headers=ORIGIN), 413, "1024 KiB")
    assert inside.post("/thing", content=b"x" * LARGEST_BODY, headers=ORIGIN).json()["bytes"] == LARGEST_BODY


@pytest.mark.parametrize("length", ["-1", "many", "1e9", "99999999999"])
def test_a_length_that_is_none_is_refused(inside: TestClient, length: str) -> None:
    answer = inside.post("/thing", content=b"x", headers={**ORIGIN, "content-length": length})
    assert_refused(answer, 413, "1024 KiB")


def test_a_body_that_does_not_say_so_ends_where_it_is_too_large(inside: TestClient) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            sent.append(1)
            yield b"x" * (LARGEST_BODY // 8)

    assert_refused(inside.post("/thing", content=endless(), headers=ORIGIN), 413, "1024 KiB")


def test_every_answer_has_the_headers(keys: Keys, inside: TestClient) -> None:
    answers = [inside.get("/thing"), inside.get("/nothing"), browser(keys).get("/"), inside.put("/thing")]
    assert {answer.status_code for answer in answers} == {200, 404, 401, 405}
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert "http" not in str(policy)
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
