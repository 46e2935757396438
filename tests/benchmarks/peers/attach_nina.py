"""Ours: ``nina_smtp.send_async``, dicts in."""

from typing import Any

from sending import Server, serve_sending

import nina_smtp

NODE = {"resource": "email", "operation": "send", "parameters": {}}


async def send(fields: dict[str, Any], server: Server) -> None:
    data = {
        "host": server["host"],
        "port": server["port"],
        "authMethod": "none",
        "caCertificate": server["ca"],
    }
    data["encryption"] = "tls" if server["tls"] else "none"
    results = await nina_smtp.send_async(NODE, {"type": "smtp", "data": data}, [fields])
    results.raise_for_status()


serve_sending(send)
