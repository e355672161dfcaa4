"""`/docs`: the OpenAPI document for people, in Swagger UI.

All of it comes from here, so that it works without the internet and under a strict Content-Security-Policy: the page
holds no script and no style of its own. Addresses are relative, for a proxy that serves this under a prefix.
"""

from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sluice</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="swagger-ui"><noscript>The same as <a href="openapi.json">openapi.json</a>.</noscript></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
"""
_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ASSETS = files("fastapi_swagger") / "resources"  # the files of npm's swagger-ui-dist, of which we take no code


@router.get("/docs")
async def page() -> Response:
    return Response(_PAGE, headers=_POLICY, media_type="text/html")


@router.get("/docs/start.js")
async def start() -> Response:
    return _file(_START.encode(), "text/javascript")


@router.get("/docs/swagger-ui-bundle.js")
async def bundle() -> Response:
    return _file((_ASSETS / "swagger-ui-bundle.js").read_bytes(), "text/javascript")


@router.get("/docs/swagger-ui.css")
async def style() -> Response:
    return _file((_ASSETS / "swagger-ui.css").read_bytes(), "text/css")


@router.get("/docs/favicon-32x32.png")
async def icon() -> Response:
    return _file((_ASSETS / "favicon-32x32.png").read_bytes(), "image/png")


def _file(content: bytes, media_type: str) -> Response:
    return Response(content, headers={"X-Content-Type-Options": "nosniff"}, media_type=media_type)
