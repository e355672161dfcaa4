"""`/docs`: all of it comes from here, under a policy that lets nothing else in."""

import re
from urllib.parse import urljoin

import httpx2

from tests.api.talk import problem

KINDS = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}


async def test_all_that_the_page_needs_comes_from_here(http: httpx2.AsyncClient) -> None:
    page = await http.get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(named) == 5
    for address in named:
        assert "//" not in address
        assert not address.startswith("/"), "a proxy may serve this under a prefix"
        answer = await http.get(urljoin("/docs", address))
        assert answer.status_code == 200, address
        kind = KINDS.get(re.sub(r".*(\.\w+)$", r"\1", address), "application/json")
        assert answer.headers["content-type"].split(";")[0] == kind
    assert (await http.get("/docs/swagger-ui-bundle.js")).content.startswith(b"/*! For license information")


async def test_its_policy_lets_nothing_in_from_elsewhere_and_nothing_inline(http: httpx2.AsyncClient) -> None:
    page = await http.get("/docs")
    policy = dict(one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert "http" not in str(policy)
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", page.text)


async def test_the_start_of_the_page_reads_the_document_of_this_server(http: httpx2.AsyncClient) -> None:
    start = (await http.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in start
    assert "http" not in start


async def test_what_is_no_part_of_the_page_is_404(http: httpx2.AsyncClient) -> None:
    for path in ("/docs/", "/docs/x.js", "/docs/../app.py", "/docs/%2e%2e/main.py", "/redoc"):
        problem(await http.get(path), 404, "not_found")
