/// See `TLS.docc/TLS.md`.
