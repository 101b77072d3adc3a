"""The routes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from stepnav.run.traces import read_trace
from stepnav.serve.errors import ApiError
from stepnav.serve.gate import Gate
from stepnav.serve.house import House
from stepnav.serve.service import Service
from stepnav.serve.upstream import PATHS
from stepnav.view.page import render_page

TRACE_ID = re.compile(r"[0-9a-f]{32}")


def make_app(house: House) -> tuple[FastAPI, Service]:
    """Return the application and what runs behind it; the models stay their owner's to close."""
    service = Service(house)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        counting = asyncio.create_task(service.keep_counting())
        yield
        counting.cancel()
        await service.close()

    app = FastAPI(title="stepnav", lifespan=lifespan, openapi_url=None)
    app.add_middleware(Gate, keys=house.keys, hosts=house.hosts)
    app.exception_handler(ApiError)(_respond)
    app.exception_handler(HTTPException)(_no_route)
    for kind, path in PATHS.items():  # no parsing but our own
        app.add_route(f"/v1{path}", partial(service.answer, kind), methods=["POST"])
    _add_reading(app, service)
    return app, service


def _add_reading(app: FastAPI, service: Service) -> None:
    house = service.house

    @app.get("/health")
    async def health() -> Response:
        status = "stopping" if service.is_stopping else "ok" if service.engine.is_alive else "dead"
        return JSONResponse({"status": status}, 200 if status == "ok" else 503)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(name) for name in house.served_models]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        if name not in house.served_models:
            raise ApiError(404, "there is no such model", param="model", code="model_not_found")
        return _model(name)

    @app.get("/metrics")
    async def metrics() -> Response:
        service.count_open()
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/traces/{trace_id}")
    def trace(trace_id: str) -> HTMLResponse:  # in a thread: it reads a file
        if house.traces is None:
            raise ApiError(404, "this server keeps no traces; it was started without --traces")
        result = read_trace(house.traces, trace_id) if TRACE_ID.fullmatch(trace_id) else None
        if result is None:
            raise ApiError(404, "there is no trace of this id, or no longer")
        return HTMLResponse(render_page(result.tree, result=result), headers=_PAGE_HEADERS)


_PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "stepnav"}


async def _respond(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError), "registered for this kind alone"
    return error.response()


async def _no_route(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return ApiError(status, "there is no such endpoint", code="unknown_url").response()
