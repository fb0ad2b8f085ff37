"""What `proxy` offers to Python apps: `from proxyapp import signals`.

Inside a worker of `proxy` the signals are raised for each request. Anywhere else (a shell, a test,
another server) this package imports, and nothing ever happens. It needs CPython 3.9 and the
standard library, nothing else.
"""
