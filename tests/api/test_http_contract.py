"""The whole application against its own document: whatever is sent, no crash and no answer the document lacks."""

from __future__ import annotations

import asyncio

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gifty.core.http.openapi import build_document, undocumented

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_EXAMPLES = {GenerationMode.POSITIVE: 20, GenerationMode.NEGATIVE: 30}


async def test_the_document_is_valid_and_has_every_route(client):
    app = client.app
    validate(build_document(app))
    assert undocumented(app) == []


async def test_whatever_is_sent_the_document_knew(client):
    base = str(client.make_url("")).rstrip("/")
    problems = await asyncio.to_thread(_explore, base)
    assert problems == []
    metrics = await (await client.get("/metrics")).text()
    assert "gifty_http_undocumented_total 0.0" in metrics


def _explore(base: str) -> list[str]:
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    problems: list[str] = []
    with requests.Session() as session:
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode, examples in _EXAMPLES.items():
                problems += _try(operation, mode, examples, base, session)
    return problems


def _try(operation, mode, examples, base, session) -> list[str]:
    @hypothesis_settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        response = case.call(base_url=base, session=session, timeout=20)
        case.validate_response(response, checks=_CHECKS)

    try:
        check()
    except BaseExceptionGroup as group:
        return [f"{operation.label}: {error}" for error in group.exceptions]
    except Exception as error:  # noqa: BLE001 - each finding is shown with its operation
        if type(error).__name__ in {"Unsatisfiable", "SkipTest"}:
            return []
        return [f"{operation.label}: {type(error).__name__}: {error}"]
    return []
