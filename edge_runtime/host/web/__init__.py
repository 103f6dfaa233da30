"""The status page, `/metrics` and `/healthz`: what a browser and a Prometheus server may see of this device.

What lives here: `door` (the one thing that the runtime knows: starts the rest when it is configured), `server` (socket,
routes, uvicorn), `guard` (who may ask, and the headers of every answer), `asking` (read-only questions to the node),
`shelf` (read-only looks at the spool), `feed` (what onlookers were told, and what changed since), `metrics`, `health`,
and the page itself in `static/`. What must not: anything that changes state, or that costs the node time while nobody
looks. To read first: `Door`, `Feed`, `Guard`; then `docs/status-page.md`. How to test it: `tests/unit/host/web` on real
daemons, `tests/browser` in a real browser.
"""
