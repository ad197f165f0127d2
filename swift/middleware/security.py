"""The headers that tell a browser what not to do with a response."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import Final

from swift.http import Request, Response
from swift.http.headers import check_header

from .shape import CallNext

NONCE: Final = "{nonce}"


class SecurityHeadersMiddleware:
    """Adds each header unless the response has it already, so a handler can set its own.

    - Strict-Transport-Security for `hsts_seconds` (0 for none), only over HTTPS: RFC 6797 section 7.2
      forbids it elsewhere. `hsts_preload` needs a year and the subdomains (https://hstspreload.org).
    - X-Content-Type-Options: nosniff.
    - X-Frame-Options, Referrer-Policy, Cross-Origin-Opener-Policy, Cross-Origin-Resource-Policy,
      Permissions-Policy, Content-Security-Policy as given; None for none.

    `{nonce}` in the policy is replaced by 128 random bits for each request, which a handler finds in
    `request.state["csp_nonce"]`.
    """

    outside_error_boundary = True

    def __init__(
        self,
        *,
        hsts_seconds: int = 31_536_000,
        hsts_include_subdomains: bool = False,
        hsts_preload: bool = False,
        frame_options: str | None = "DENY",
        referrer_policy: str | None = "strict-origin-when-cross-origin",
        cross_origin_opener_policy: str | None = "same-origin",
        cross_origin_resource_policy: str | None = None,
        permissions_policy: str | None = None,
        content_security_policy: str | None = None,
    ) -> None:
        if hsts_preload and (hsts_seconds < 31_536_000 or not hsts_include_subdomains):
            raise ValueError("`hsts_preload` needs `hsts_seconds` of a year and `hsts_include_subdomains`.")
        if hsts_seconds < 0:
            raise ValueError(f"`hsts_seconds` is a number of seconds from 0, got {hsts_seconds}.")
        self.policy_template = None
        if content_security_policy is not None and NONCE in content_security_policy:
            check_header("content-security-policy", content_security_policy)
            self.policy_template = content_security_policy
            content_security_policy = None
        values = {
            "x-content-type-options": "nosniff",
            "x-frame-options": frame_options,
            "referrer-policy": referrer_policy,
            "cross-origin-opener-policy": cross_origin_opener_policy,
            "cross-origin-resource-policy": cross_origin_resource_policy,
            "permissions-policy": permissions_policy,
            "content-security-policy": content_security_policy,
        }
        self.headers = [check_header(name, value) for name, value in values.items() if value is not None]
        self.secure_headers = list(self.headers)
        if hsts_seconds:
            directives = [f"max-age={hsts_seconds}"]
            directives += ["includeSubDomains"] * hsts_include_subdomains
            directives += ["preload"] * hsts_preload
            self.secure_headers.append(check_header("strict-transport-security", "; ".join(directives)))

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        headers = self.secure_headers if request.scheme == "https" else self.headers
        if self.policy_template is not None:
            nonce = token_urlsafe(16)
            request.state["csp_nonce"] = nonce
            policy = self.policy_template.replace(NONCE, nonce)
            headers = [*headers, (b"content-security-policy", policy.encode("latin-1"))]
        response = await call_next(request)
        present = {name for name, _ in response.raw_headers}
        response.raw_headers.extend(pair for pair in headers if pair[0] not in present)
        return response
