"""What every refusal looks like: problem JSON (RFC 9457), with the photos it is about."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class PhotoProblem(BaseModel):
    """One photo that can't be used."""

    index: int = Field(ge=0, description="which photo of the request, from 0", examples=[1])
    name: str | None = Field(description="the file name it was sent under", examples=["notes.txt"])
    reason: str = Field(examples=["is not an image; send one of JPEG, PNG, WEBP, BMP, GIF, TIFF"])


class Problem(BaseModel):
    """Why a request was refused. Nothing of it was answered: mend all that `photos` lists, and send it again."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["1 of 2 photos can't be used"])
    photos: list[PhotoProblem] = []


class Refused(Exception):
    """A request that is not answered.

    Args:
        status: HTTP status.
        detail: why, and what would do, in a sentence.
        photos: the photos that are to blame.
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


#: Names that RFC 9110 gave in the place of those that older Pythons still have.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content", 499: "Client Closed Request"}


def response(refused: Refused) -> JSONResponse:
    """The reply that a refusal becomes."""
    title = _TITLES.get(refused.status) or HTTPStatus(refused.status).phrase
    problem = Problem(
        title=title, status=refused.status, detail=refused.detail, photos=refused.photos
    )
    return JSONResponse(problem.model_dump(), refused.status, refused.headers, MEDIA_TYPE)


def documented(**by_status: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses: `documented(_413="too large")`."""
    schema = {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}
    return {
        int(s[1:]): {"description": text, "content": {MEDIA_TYPE: schema}}
        for s, text in by_status.items()
    }


def add_to(app: FastAPI) -> None:
    """Have an app answer refusals so, its own for unknown pages and methods too, and describe them in its OpenAPI."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        description = described()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = problem.pop("$defs")
        description["components"]["schemas"].update(parts, **{Problem.__name__: problem})
        return description

    async def refused(_: Request, refusal: Refused) -> JSONResponse:
        return response(refusal)

    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        details = {
            404: "there is no such page; /docs lists them",
            405: "not with this method; /docs lists them",
        }
        detail = details.get(error.status_code, str(error.detail))
        return response(Refused(error.status_code, detail, headers=dict(error.headers or {})))

    app.openapi = openapi
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, unknown)
