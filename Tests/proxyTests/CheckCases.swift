import Foundation

/// Texts with the one finding that each of them gets, one after `=>`; `LISTEN` stands for a good
/// listener.
func cases(_ table: String) -> [(yaml: String, finding: String)] {
    table.components(separatedBy: "\n~~~\n").map { entry in
        let parts = entry.components(separatedBy: "\n=> ")
        let yaml = parts[0].replacingOccurrences(
            of: "LISTEN", with: "listen: \"http://127.0.0.1:0\"")
        return (yaml + "\n", parts[1])
    }
}

let serviceAndListenerCases = #"""
    LISTEN
    services:
      web:
        demo: true
        app: "a:b"
    => f:5:5: error: services.web: has demo (line 4) and app (line 5), but takes exactly \#
    one of app, command, upstreams and demo
    ~~~
    LISTEN
    services:
      web: { workers: 2 }
    => f:3:3: error: services.web: needs exactly one of app, command, upstreams and demo
    ~~~
    LISTEN
    services: { web: { demo: true, worker: 2 } }
    => f:2:32: error: services.web.worker: unknown key; did you mean workers?
    ~~~
    LISTEN
    services: { web: { demos: true } }
    => f:2:20: error: services.web.demos: unknown key; did you mean demo?
    ~~~
    LISTEN
    services: { web: { demo: true, workers: 0 } }
    => f:2:41: error: services.web.workers: 0 is out of bounds, from 1 to 1024
    ~~~
    LISTEN
    services: { web: { demo: false } }
    => f:2:26: error: services.web.demo: takes true only; leave the key out instead
    ~~~
    LISTEN
    services: { web: { demo: true, concurrency: 65 } }
    => f:2:45: error: services.web.concurrency: a demo worker gets at most 64 requests at once
    ~~~
    LISTEN
    services: { web: { demo: true, threads: 2 } }
    => f:2:32: error: services.web.threads: goes with app only
    ~~~
    LISTEN
    services: { web: { upstreams: ["http://a"], workers: 2 } }
    => f:2:45: error: services.web.workers: goes with app, command or demo only
    ~~~
    LISTEN
    services: { a/b: { demo: true } }
    => f:2:13: error: services.a/b: "a/b" is no service name: letters, digits, - and _, 63 \#
    at most, a letter or digit first
    ~~~
    LISTEN
    services: { web: { demo: true, mode: gevent } }
    => f:2:32: error: services.web.mode: known, not in this version
    ~~~
    LISTEN
    services: { web: { demo: true, recycle: { requests: 1 } } }
    => f:2:32: error: services.web.recycle: known, not in this version
    ~~~
    LISTEN
    services: { web: { demo: true, workers: { min: 1, max: 2 } } }
    => f:2:32: error: services.web.workers: known, not in this version
    ~~~
    LISTEN
    services: { web: { demo: true, health: { path: /h } } }
    => f:2:42: error: services.web.health.path: known, not in this version
    ~~~
    LISTEN
    services: { web: { demo: true, balance: consistent-hash } }
    => f:2:32: error: services.web.balance: consistent-hash needs hash: client, path, \#
    header:NAME or cookie:NAME
    ~~~
    LISTEN
    services: { web: { demo: true, hash: client } }
    => f:2:32: error: services.web.hash: goes with balance: consistent-hash only, not with \#
    round-robin
    ~~~
    LISTEN
    services: { web: { demo: true, balance: roundrobin } }
    => f:2:41: error: services.web.balance: takes round-robin, least-connections, \#
    random-two, least-time, consistent-hash, not "roundrobin"; did you mean round-robin?
    ~~~
    LISTEN
    services: { web: { demo: true, balance: consistent-hash, hash: header } }
    => f:2:64: error: services.web.hash: takes client, path, header:NAME or cookie:NAME, \#
    not "header"
    ~~~
    LISTEN
    services: { web: { upstreams: [{ url: "http://a", weight: 0 }, { url: "http://b", \#
    weight: 0 }] } }
    => f:2:20: error: services.web.upstreams: all weights are 0; nothing would ever be sent
    ~~~
    LISTEN
    services: { web: { upstreams: [] } }
    => f:2:20: error: services.web.upstreams: is empty; it takes at least 1
    ~~~
    LISTEN
    services: { web: { upstreams: ["http://a/b"] } }
    => f:2:32: error: services.web.upstreams.0.url: "http://a/b": nothing goes after host \#
    and port, no path, query or fragment; did you mean http://a?
    ~~~
    LISTEN
    services: { web: { upstreams: ["unix:run/a.sock"] } }
    => f:2:32: error: services.web.upstreams.0.url: "unix:run/a.sock": after unix: goes an \#
    absolute path
    ~~~
    LISTEN
    services: { web: { upstreams: [{ url: "http://a", verify: false }] } }
    => f:2:51: error: services.web.upstreams.0.verify: goes with https only; http://a:80 is \#
    not verified
    ~~~
    LISTEN
    services: { web: { upstreams: ["http://a"], pool: { size: 0, max_overflow: 0 } } }
    => f:2:45: error: services.web.pool: size and max_overflow are both 0; no connection \#
    could be opened
    ~~~
    LISTEN
    services: { web: { app: shop.wsgi } }
    => f:2:25: error: services.web.app: "shop.wsgi" has no colon; write module:attribute; \#
    did you mean "shop.wsgi:app"?
    ~~~
    LISTEN
    services: { web: { app: "shop/wsgi:app" } }
    => f:2:25: error: services.web.app: "shop/wsgi:app": "shop/wsgi" is no module name, \#
    such as shop.wsgi for the file shop/wsgi.py
    ~~~
    LISTEN
    services: { web: { command: [] } }
    => f:2:20: error: services.web.command: is empty; it takes at least 1
    ~~~
    LISTEN
    services: { web: { command: [no-such-program-here] } }
    => f:2:29: error: services.web.command: there is no program no-such-program-here in PATH
    ~~~
    LISTEN
    services: { web: { command: [./no-such-program] } }
    => f:2:29: error: services.web.command: /no-such-program is not there
    ~~~
    LISTEN
    services: { web: { command: [cat], env: { 1A: x } } }
    => f:2:43: error: services.web.env.1A: "1A" is no name of an environment variable
    ~~~
    listen: ["http://*:80/x"]
    services: { web: { demo: true } }
    => f:1:10: error: listen.0.url: "http://*:80/x": nothing goes after host and port, no \#
    path, query or fragment; did you mean http://*:80?
    ~~~
    listen: ["http://*:70000"]
    services: { web: { demo: true } }
    => f:1:10: error: listen.0.url: "http://*:70000": a port is a number from 0 to 65535
    ~~~
    listen: ["htps://*:443"]
    services: { web: { demo: true } }
    => f:1:10: error: listen.0.url: "htps://*:443": the scheme is http or https; did you \#
    mean https://*:443?
    ~~~
    listen: ["http://example.com:80"]
    services: { web: { demo: true } }
    => f:1:10: error: listen.0.url: "http://example.com:80": "example.com" is no address of \#
    this machine to listen on; write an IP address, localhost, or * for all
    ~~~
    listen: ["https://*:443"]
    services: { web: { demo: true } }
    => f:1:10: error: listen.0.url: https needs a certificate: write tls: { certificates: \#
    [{ certificate: FILE, key: FILE }] }, or tls: { dev_ca: true } for tests
    ~~~
    listen:
      - http://*:80
      - http://127.0.0.1:80
    services: { web: { demo: true } }
    => f:3:5: error: listen.1.url: http://127.0.0.1:80 is taken by http://*:80 in line 2
    ~~~
    listen:
      - http://0.0.0.0:80
      - http://[::]:80
      - http://localhost:80
    services: { web: { demo: true } }
    => f:4:5: error: listen.2.url: http://localhost:80 is taken by http://0.0.0.0:80 in line 2
    ~~~
    listen: [{ url: "http://*:80", redirect: https }]
    services: { web: { demo: true } }
    => f:1:32: error: listen.0.redirect: there is no https listener to redirect to; add \#
    one, https://*:443
    ~~~
    listen: [{ url: "https://*:443", redirect: https }]
    tls: { dev_ca: true }
    services: { web: { demo: true } }
    => f:1:34: error: listen.0.redirect: this listener speaks https already
    ~~~
    services: { web: { demo: true } }
    => f:1:1: error: listen: is missing: the addresses to listen on
    ~~~
    LISTEN
    => f:1:1: error: services: is missing: who answers requests, by name
    ~~~
    LISTEN
    services: {}
    => f:2:1: error: services: is empty; it takes at least 1
    ~~~
    LISTEN
    trusted_proxies: [10.0.0.1/8]
    services: { web: { demo: true } }
    => f:2:19: error: trusted_proxies.0: "10.0.0.1/8" has bits beyond /8; did you mean \#
    10.0.0.0/8?
    ~~~
    LISTEN
    tls: { client_auth: require }
    services: { web: { demo: true } }
    => f:2:8: error: tls.client_auth: known, not in this version
    ~~~
    LISTEN
    admin: { dashboard: "http://127.0.0.1:9090" }
    services: { web: { demo: true } }
    => f:2:10: error: admin.dashboard: known, not in this version
    """#

let routeCases = #"""
    [{ to: wbe }]
    => f:3:16: error: routes.0.to.wbe: there is no service wbe, only web; did you mean web?
    ~~~
    [{ to: { web: 0 } }]
    => f:3:12: error: routes.0.to: all weights are 0; nothing would ever be sent
    ~~~
    [{ host: a }]
    => f:3:10: error: routes.0: needs exactly one of to, redirect and respond
    ~~~
    [{ to: web, respond: {} }]
    => f:3:21: error: routes.0: has to (line 3) and respond (line 3), but takes exactly one \#
    of to, redirect and respond
    ~~~
    [{ path: api/, to: web }]
    => f:3:18: error: routes.0.path: "api/": a path begins with a slash; did you mean /api/?
    ~~~
    [{ path: "/a?b", to: web }]
    => f:3:18: error: routes.0.path: "/a?b": a path has no query or fragment
    ~~~
    [{ allow: [300.0.0.0/8], to: web }]
    => f:3:20: error: routes.0.allow.0: takes addresses such as 10.0.0.0/8, not \#
    "300.0.0.0/8"
    ~~~
    [{ host: "a.*.com", to: web }]
    => f:3:18: error: routes.0.host: "a.*.com": * stands alone before the first dot, \#
    *.example.com
    ~~~
    [{ host: "a.com:80", to: web }]
    => f:3:18: error: routes.0.host: "a.com:80": a host has no port and no scheme here
    ~~~
    [{ method: [get], to: web }]
    => f:3:21: error: routes.0.method.0: "get": methods are written in capitals; did you \#
    mean GET?
    ~~~
    [{ method: GET, to: web }]
    => f:3:20: error: routes.0.method: takes a list, [GET], not "GET"
    ~~~
    [{ host: a, redirect: { to: "ftp://b" } }, { to: web }]
    => f:3:37: error: routes.0.redirect.to: "ftp://b": a redirect goes to https://…, \#
    http://… or a path of this host
    ~~~
    [{ host: a, redirect: { to: "https://b{uri}" } }, { to: web }]
    => f:3:37: error: routes.0.redirect.to: "https://b{uri}": there is {target}, {path} and \#
    {host}, not {uri}
    ~~~
    [{ host: a, redirect: { to: /x, status: 305 } }, { to: web }]
    => f:3:49: error: routes.0.redirect.status: takes 301, 302, 303, 307, 308, not "305"
    ~~~
    [{ host: a, redirect: {} }, { to: web }]
    => f:3:21: error: routes.0.redirect.to: is missing; write a URL such as \#
    https://example.com{target}
    ~~~
    [{ host: a, respond: { status: 101 } }, { to: web }]
    => f:3:40: error: routes.0.respond.status: 101 is out of bounds, from 200 to 599
    ~~~
    [{ host: a, respond: { status: 204, body: x } }, { to: web }]
    => f:3:45: error: routes.0.respond.body: an answer with status 204 has no body
    ~~~
    [{ to: web, set_headers: { request: { "a b": x } } }]
    => f:3:47: error: routes.0.set_headers.request.a\sb: "a b" is no header name
    ~~~
    [{ to: web, set_headers: { request: { Content-Length: 1 } } }]
    => f:3:47: error: routes.0.set_headers.request.Content-Length: Content-Length is the \#
    proxy's own; no route sets or removes it
    ~~~
    [{ to: web, set_headers: { response: { X: "a\nb" } } }]
    => f:3:51: error: routes.0.set_headers.response.X: "a\nb": a header value has no line \#
    breaks or controls
    ~~~
    [{ to: web, remove_headers: { request: [Expect] } }]
    => f:3:49: error: routes.0.remove_headers.request.0: Expect is the proxy's own; no route \#
    sets or removes it
    ~~~
    [{ to: web, set_headers: { response: { X-Request-Id: x } } }]
    => f:3:48: error: routes.0.set_headers.response.X-Request-Id: X-Request-Id is the \#
    proxy's own; no route sets or removes it
    ~~~
    [{ to: web, remove_headers: { response: [Transfer-Encoding] } }]
    => f:3:50: error: routes.0.remove_headers.response.0: Transfer-Encoding is the \#
    proxy's own; no route sets or removes it
    ~~~
    [{ path: /a/, strip: /b, to: web }]
    => f:3:30: error: routes.0.strip: /b is not the beginning of path /a/
    ~~~
    [{ host: a, strip: /b, respond: {} }, { to: web }]
    => f:3:21: error: routes.0.strip: goes with to only
    ~~~
    [{ to: web, sticky: cookie }]
    => f:3:21: error: routes.0.sticky: known, not in this version
    ~~~
    [{ to: web }, { host: a, to: web }]
    => f:3:23: warning: routes.1: never matches: the route in line 3 takes every request
    ~~~
    [{ respond: { body: x } }]
    => f:2:13: warning: services.web: no route reaches it; add { to: web } to routes
    """#

let pluginCases = #"""
    [{ name: a, command: [cat] }, { name: a, command: [cat] }]
    => f:3:48: error: plugins.1.name: a is taken by another plug-in in line 3
    ~~~
    [{ name: a }]
    => f:3:11: error: plugins.0.command: is missing: the program and its arguments
    ~~~
    [{ name: a, command: [cat], events: [request_finish] }]
    => f:3:47: error: plugins.0.events.0: there is no signal "request_finish"; did you mean \#
    request_finished?
    ~~~
    [{ name: a, command: [cat], events: [certificate_loaded] }]
    => f:3:47: error: plugins.0.events.0: "certificate_loaded": known, not in this version
    ~~~
    [{ name: a, library: audit }]
    => f:3:22: error: plugins.0.library: known, not in this version
    """#
