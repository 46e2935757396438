"""The sink, as a credential of nina_smtp."""

from typing import Any


def credential(server: dict[str, Any], connections: int, window: int = 1) -> dict[str, Any]:
    return {
        "host": server["host"],
        "port": server["port"],
        "encryption": "tls" if server["tls"] else "none",
        "authMethod": "none",
        "caCertificate": server["ca"],
        "fromAddress": "soc@corp.test",
        "recipientPolicy": {"maxPerRecipient": 1_000_000_000},  # few addresses get all of them
        "limits": {"connections": connections, "pipelineWindow": window},
    }
