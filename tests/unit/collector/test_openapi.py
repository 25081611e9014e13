"""`/docs` of the collector shows the routes that are answered in front of FastAPI."""

from fastapi import FastAPI

from collector.openapi import describe
from collector.routes import events, status


def test_the_hot_routes_and_the_body_of_events_are_described() -> None:
    app = FastAPI()
    app.include_router(events.router)
    app.include_router(status.router)
    describe(app)

    paths = app.openapi()["paths"]

    assert "403" in paths["/v1/authorize"]["get"]["responses"]
    question = paths["/v1/check"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert question["required"] == ["tenant"]
    assert "application/x-ndjson" in paths["/v1/events"]["post"]["requestBody"]["content"]
    assert "/v1/status" in paths
