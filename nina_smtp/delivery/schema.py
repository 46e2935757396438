"""What the result of a mail looks like as JSON, so that later nodes can offer its paths before any run."""

from __future__ import annotations

from typing import Any

_ADDRESSES = {"type": "array", "items": {"type": "string"}}

RESULT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["status", "accepted", "rejected", "attempts", "durationMs", "sources", "warnings", "item"],
    "properties": {
        "status": {"enum": ["sent", "partial", "failed", "unknown", "dryRun", "notAttempted"]},
        "messageId": {"type": "string", "examples": ["<2f1c…@corp.example>"]},
        "accepted": _ADDRESSES,
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "address": {"type": "string"},
                    "code": {"type": "integer"},
                    "enhancedCode": {"type": ["string", "null"]},
                    "message": {"type": "string"},
                    "temporary": {"type": "boolean"},
                },
            },
        },
        "envelope": {"type": "object", "properties": {"from": {"type": "string"}, "to": _ADDRESSES}},
        "response": {"type": "string", "examples": ["250 2.0.0 Ok: queued as 4F1A2"]},
        "size": {"type": "integer", "description": "Octets of the message."},
        "attempts": {"type": "integer"},
        "durationMs": {"type": "integer"},
        "server": {
            "type": "object",
            "properties": {
                "host": {"type": "string"},
                "port": {"type": "integer"},
                "tls": {
                    "type": ["object", "null"],
                    "properties": {
                        "version": {"type": "string"},
                        "cipher": {"type": "string"},
                        "verified": {"type": "boolean"},
                    },
                },
            },
        },
        "sources": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "source": {"enum": ["node", "extracted", "input", "credential"]},
                    "path": {"type": "string"},
                    "overrode": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
        "warnings": {"type": "array", "items": {"type": "string"}},
        "item": {"type": "integer", "description": "Index of the input item."},
        "error": {"type": "object", "description": "What happened, what to do, and the reply behind it."},
    },
}
