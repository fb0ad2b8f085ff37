/// See `Certificates.docc/Certificates.md`.
