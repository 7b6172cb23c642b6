"""Error responses: problem details (RFC 9457) that list the photos at fault."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class PhotoProblem(BaseModel):
    """One photo that cannot be used."""

    index: int = Field(ge=0, description="position in the request, from 0", examples=[1])
    name: str | None = Field(description="file name as sent", examples=["notes.txt"])
    reason: str = Field(examples=["is not an image; send one of JPEG, PNG, WEBP, BMP, GIF, TIFF"])


class Problem(BaseModel):
    """Why a request failed. No photo was processed: fix all that `photos` lists and retry."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["1 of 2 photos can't be used"])
    photos: list[PhotoProblem] = []


class ApiError(Exception):
    """A request that fails.

    Args:
        status: HTTP status.
        detail: one sentence, the reason and the fix.
        photos: the photos at fault.
        headers: additional response headers.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        photos: list[PhotoProblem] | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(detail)
        self.status, self.detail, self.photos, self.headers = status, detail, photos or [], headers


#: Titles of RFC 9110 that older Python versions lack.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content", 499: "Client Closed Request"}


def problem_response(error: ApiError) -> JSONResponse:
    """Return the response for an error."""
    title = _TITLES.get(error.status) or HTTPStatus(error.status).phrase
    problem = Problem(title=title, status=error.status, detail=error.detail, photos=error.photos)
    return JSONResponse(problem.model_dump(), error.status, error.headers, MEDIA_TYPE)


def openapi_responses(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI `responses` of a route, given the description of each error status."""
    schema = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    return {
        status: {"description": text, "content": {MEDIA_TYPE: schema}}
        for status, text in descriptions.items()
    }


def add_problem_details(app: FastAPI) -> None:
    """Make an app return problem details for all errors, and describe them in its OpenAPI."""
    default_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        description = default_openapi()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = problem.pop("$defs")
        description["components"]["schemas"].update(parts, **{Problem.__name__: problem})
        return description

    # FastAPI documents this assignment as the way to extend OpenAPI.
    app.openapi = openapi  # type: ignore[method-assign]

    @app.exception_handler(ApiError)
    async def api_error(_: Request, error: ApiError) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> JSONResponse:
        details = {
            404: "there is no such page; /docs lists them",
            405: "this method is not allowed here; /docs lists the methods",
        }
        detail = details.get(error.status_code, str(error.detail))
        return problem_response(
            ApiError(error.status_code, detail, headers=dict(error.headers or {}))
        )
