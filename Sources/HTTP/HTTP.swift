/// See `HTTP.docc/HTTP.md`.
