/// See `Routing.docc/Routing.md`.
