/// See `Configuration.docc/Configuration.md`.
