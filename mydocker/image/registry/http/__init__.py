"""HTTP to registries: requests, time limits, proxies, redirects, certificates, and why a request failed."""
