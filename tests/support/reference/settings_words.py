"""What each key of `config.toml` is for, in a few words; the types say the rest. A key without words fails a test."""

from __future__ import annotations

TASK = {
    "intent": "what is submitted",
    "arguments": "its arguments: a table, or one value",
    "needs": "capabilities that every step needs",
    "priority": "0 is the most urgent",
    "lifetime": "then it expires; empty: 30 days",
    "attempts_max": "budget of attempts over all devices; 0: none",
    "bytes_max": "budget of bytes that steps say they moved; 0: none",
    "energy_max_mj": "budget of energy in millijoules; 0: none",
    "labels": "words for filters, and for the drop folder and bridges, which publish by label",
    "rights": "name = amount: what its bounded steps may spend",
    "anyway": "also if no device known offers the intent",
}
PACED = {
    "interval": "how often it is read, or usually heard",
    "max_age": "older than that the fact is unknown; empty: three intervals",
}

WORDS: dict[str, dict[str, str]] = {
    "[device]": {
        "name": "the device's name, for people; empty: the host's name. Read at the start",
        "capabilities": "what this device can do; steps that need it go where it is",
        "resources": "what this device alone owns",
    },
    "[network]": {
        "listen": "`host:port` to listen on; empty: any address and a free port, which is kept. Read at the start",
        "peers": "devices to dial besides those found on the LAN, `host:port` each. Read at the start",
        "interfaces": "listen and look for peers on these links only; empty: on all. Read at the start",
    },
    "[join]": {"invitation": "file of an invitation or of `grant`, used once at the first start"},
    "[advisor]": {
        "base_url": "address of an OpenAI-compatible server; empty: no advisor",
        "model": "the model's name there",
        "key_file": "file whose first line is the key, where one is needed",
        "topics": "what it is asked about; `*` for everything",
        "timeout_s": "longest wait for one answer",
        "calls_per_hour": "budget of each advisor on this device",
    },
    "[[apps]]": {
        "module": "`module:name`, or a module of plain functions. Read at the start",
        "path": "folder that it is imported from",
    },
    "[[cannot]]": {
        "capability": "what this device cannot do",
        "when": "while this condition over its facts holds",
    },
    "[[plan]]": {
        "peer": "name of the destination",
        "start": "begin of the pass, with a time zone",
        "end": "its end",
        "error_s": "how much earlier or later either may be",
        "delay_s": "one-way delay: what is sent earlier meets nobody",
    },
    "[pacing]": {"delay_per_attempt_s": "how much delay is worth one attempt in vain, where no plan says when"},
    "[store]": {
        "max_bytes": "how large the spool may grow",
        "ended_days": "how long an object is kept after its end",
        "ended_percent": "share of `max_bytes` for objects that have ended",
        "carried_percent": "share of `max_bytes` for objects that others made and turn",
    },
    "[policy]": {"unsure_grants": "what runs under a grant that may have expired, while the clock is not trusted"},
    "[facts]": {
        "interval": "how often the machine's own sensors are read",
        "sensors": "false: none of them",
        "file": "see `[[facts.file]]`",
    },
    "[[facts.file]]": {**PACED, "path": "file with a number, a text, or JSON", "name": "name of the fact"},
    "[mqtt]": {
        "host": "the broker",
        "port": "its port; with `tls` usually 8883",
        "tls": "encrypt the connection",
        "user": "name at the broker; empty: none",
        "password_file": "file whose first line is the password",
        "topic": "see `[[mqtt.topic]]`",
        "results": "topic for results, with `{object}`, `{name}` or `{intent}` in it; empty: none are published",
        "label": "objects with this label are published when they end",
    },
    "[[mqtt.topic]]": {
        **PACED,
        "topic": "what is listened to: `+` stands for one level, `#` at the end for the rest",
        "name": "name of the fact; `{1}` is what the first `+` stood for",
    },
    "[mavlink]": {
        **PACED,
        "connection": "such as `udpin:127.0.0.1:14550`, `tcp:host:port` or `/dev/ttyAMA0`",
        "baud": "of a serial line",
        "system": "the vehicle's system id; 0: the first that is heard",
        "modes": "in these the autopilot takes orders; in any other, while armed, a pilot flies",
    },
    "[web]": {
        "listen": "address of the status page; port 0 takes a free one. Read at the start",
        "hosts": "further names under which browsers may reach it",
        "beyond_loopback": "must be true for an address that other machines can reach",
    },
    "[[probes]]": {
        "name": "what a handler polls by",
        "kind": "what is looked at; it says which other key is needed",
        "path": "for `file`, `log` and `disk`: the whole path",
        "url": "for `http`: the address",
        "argv": "for `command`: the program and its arguments, without a shell",
        "timeout_s": "longest time of one look",
    },
    "[drop]": {"label": "results of objects with this label are written to `outbox/`"},
    "[[schedule]]": {
        **TASK,
        "name": "of the schedule, once in the file",
        "every": "an interval on the device's own clock; or else",
        "daily": "a time of day in UTC, which needs a trusted clock",
        "object": "name of each object; `{slot}` in it is a number or the day; empty: `NAME-{slot}`",
    },
}

# What the examples beside the types do not show.
EXAMPLES: dict[str, str] = {
    "[advisor]": '[advisor]\nbase_url = "http://localhost:8080"\nmodel = "qwen2.5-3b-instruct"\n',
    "[pacing]": "[pacing]\ndelay_per_attempt_s = 30\n",
    "[policy]": '[policy]\nunsure_grants = "deny"\n',
    "[facts]": '[facts]\ninterval = "5m"\n',
    "[[probes]]": '[[probes]]\nname = "intake"\nkind = "http"\nurl = "http://intake.local/state"\ntimeout_s = 5\n',
    "[[mqtt.topic]]": '[mqtt]\nhost = "localhost"\n\n[[mqtt.topic]]\ntopic = "yard/+/door"\nname = "door.{1}"\n',
    "[drop]": '[drop]\nlabel = "outbox"\n',
}
