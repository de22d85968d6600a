"""Checks of our own, beside those of Schemathesis."""

import schemathesis


@schemathesis.check
def no_server_error(ctx, response, case):
    """No 5xx, except that a read has not reached the consistency token of its request."""
    if response.status_code < 500:
        return
    kind = response.json().get("type") if "json" in response.headers.get("content-type", [""])[0] else None
    assert kind == "/problems/not-yet-consistent", f"server error {response.status_code}: {response.text}"
